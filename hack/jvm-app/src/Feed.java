import java.io.StringReader;
import java.io.StringWriter;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.SAXParserFactory;
import javax.xml.transform.OutputKeys;
import javax.xml.transform.Transformer;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.transform.stream.StreamResult;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.xml.sax.Attributes;
import org.xml.sax.InputSource;
import org.xml.sax.helpers.DefaultHandler;

/** A news feed: a document built, written and read again by the JDK's XML parts. */
final class Feed {
    private static final int ENTRIES = 15;

    private final Catalogue catalogue;

    Feed(Catalogue catalogue) {
        this.catalogue = catalogue;
    }

    Object of(int page) {
        try {
            String text = write(page);
            int[] elements = {0};
            SAXParserFactory.newInstance().newSAXParser().parse(new InputSource(new StringReader(text)), new DefaultHandler() {
                @Override
                public void startElement(String uri, String local, String name, Attributes attributes) {
                    elements[0] += 1 + attributes.getLength();
                }
            });
            return Map.of("elements", elements[0], "xml", text);
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    private String write(int page) throws Exception {
        Document document = DocumentBuilderFactory.newInstance().newDocumentBuilder().newDocument();
        Element feed = document.createElement("feed");
        document.appendChild(feed);
        for (int entry = 0; entry < ENTRIES; entry++) {
            Article article = catalogue.get(page * ENTRIES + entry);
            Element element = document.createElement("entry");
            element.setAttribute("number", Integer.toString(article.number()));
            element.setAttribute("since", article.since().toString());
            Element title = document.createElement("title");
            title.setTextContent(article.name() + " by " + article.maker());
            element.appendChild(title);
            feed.appendChild(element);
        }
        Transformer transformer = TransformerFactory.newInstance().newTransformer();
        transformer.setOutputProperty(OutputKeys.INDENT, "yes");
        StringWriter text = new StringWriter();
        transformer.transform(new DOMSource(document), new StreamResult(text));
        return text.toString();
    }
}
