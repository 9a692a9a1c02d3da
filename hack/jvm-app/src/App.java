import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Executors;
import java.util.function.Function;

/** A shop on the JDK alone, cold as any Java program is: classes to load, code to interpret, then to compile. */
public final class App {
    private static final int PORT = 8080;
    private static final int WORKERS = 16;

    public static void main(String[] arguments) throws IOException {
        // Without it each answer waits 40 ms for the client's delayed acknowledgement.
        System.setProperty("sun.net.httpserver.nodelay", "true");
        Catalogue catalogue = Catalogue.generate(2_000);
        Map<String, Function<Map<String, String>, Object>> pages = new TreeMap<>();
        pages.put("/", query -> Map.of("shop", "open", "articles", catalogue.size()));
        pages.put("/search", query -> new Search(catalogue).find(query.getOrDefault("q", "copper")));
        pages.put("/invoice", query -> new Invoice(catalogue).of(number(query, "customer")));
        pages.put("/login", query -> new Login().of(query.getOrDefault("name", "ada")));
        pages.put("/statistics", query -> new Statistics(catalogue).of(number(query, "year")));
        pages.put("/feed", query -> new Feed(catalogue).of(number(query, "page")));

        HttpServer server = HttpServer.create(new InetSocketAddress(PORT), 1_024);
        server.setExecutor(Executors.newFixedThreadPool(WORKERS));
        server.createContext("/ready", exchange -> answer(exchange, 200, "ready"));
        server.createContext("/", exchange -> {
            Function<Map<String, String>, Object> page = pages.get(exchange.getRequestURI().getPath());
            if (page == null) {
                answer(exchange, 404, "no such page");
            } else {
                answer(exchange, 200, Json.of(page.apply(query(exchange.getRequestURI().getRawQuery()))));
            }
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> server.stop(0)));
        server.start();
    }

    private static void answer(HttpExchange exchange, int status, String text) throws IOException {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "application/json");
        exchange.sendResponseHeaders(status, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }

    private static Map<String, String> query(String raw) {
        Map<String, String> query = new TreeMap<>();
        for (String pair : raw == null ? new String[0] : raw.split("&")) {
            String[] parts = pair.split("=", 2);
            query.put(parts[0], parts.length < 2 ? "" : URLDecoder.decode(parts[1], StandardCharsets.UTF_8));
        }
        return query;
    }

    private static int number(Map<String, String> query, String name) {
        return Integer.parseInt(query.getOrDefault(name, "7"));
    }
}
