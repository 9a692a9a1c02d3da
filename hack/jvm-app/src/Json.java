import java.lang.reflect.RecordComponent;
import java.util.Iterator;
import java.util.Map;

/** Writes JSON, records by reflection. */
final class Json {
    private final StringBuilder text = new StringBuilder();

    static String of(Object value) {
        Json json = new Json();
        json.write(value);
        return json.text.toString();
    }

    private void write(Object value) {
        if (value == null || value instanceof Number || value instanceof Boolean) {
            text.append(value);
        } else if (value instanceof Map<?, ?> map) {
            writeMap(map);
        } else if (value instanceof Iterable<?> list) {
            writeList(list);
        } else if (value instanceof Record record) {
            writeRecord(record);
        } else {
            writeText(value.toString());
        }
    }

    private void writeMap(Map<?, ?> map) {
        char before = '{';
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            text.append(before);
            writeText(entry.getKey().toString());
            text.append(':');
            write(entry.getValue());
            before = ',';
        }
        text.append(before == '{' ? "{}" : "}");
    }

    private void writeList(Iterable<?> list) {
        text.append('[');
        for (Iterator<?> values = list.iterator(); values.hasNext(); ) {
            write(values.next());
            text.append(values.hasNext() ? "," : "");
        }
        text.append(']');
    }

    private void writeRecord(Record record) {
        char before = '{';
        for (RecordComponent component : record.getClass().getRecordComponents()) {
            text.append(before);
            writeText(component.getName());
            text.append(':');
            try {
                write(component.getAccessor().invoke(record));
            } catch (ReflectiveOperationException error) {
                throw new IllegalStateException(error);
            }
            before = ',';
        }
        text.append(before == '{' ? "{}" : "}");
    }

    private void writeText(String value) {
        text.append('"');
        for (int at = 0; at < value.length(); at++) {
            char c = value.charAt(at);
            switch (c) {
                case '"', '\\' -> text.append('\\').append(c);
                case '\n' -> text.append("\\n");
                case '\r' -> text.append("\\r");
                case '\t' -> text.append("\\t");
                default -> {
                    if (c < ' ') {
                        text.append(String.format("\\u%04x", (int) c));
                    } else {
                        text.append(c);
                    }
                }
            }
        }
        text.append('"');
    }
}
