import java.math.BigDecimal;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;

/** All articles, the same at every start. */
public final class Catalogue {
    private static final String[] MATERIALS = {"copper", "oak", "linen", "granite", "brass", "walnut", "wool", "glass"};
    private static final String[] THINGS = {"kettle", "lamp", "table", "blanket", "clock", "mortar", "vase", "shelf", "mirror"};
    private static final String[] MAKERS = {"Ashworth & Daughters", "Nordlys", "Atelier Brun", "Kiyomizu", "Ferreira Irmãos"};

    private final List<Article> articles;

    private Catalogue(List<Article> articles) {
        this.articles = articles;
    }

    static Catalogue generate(int count) {
        Random random = new Random(4_711);
        List<Article> articles = new ArrayList<>(count);
        for (int number = 0; number < count; number++) {
            String name = pick(random, MATERIALS) + " " + pick(random, THINGS) + " no. " + number;
            StringBuilder text = new StringBuilder();
            for (int word = 0; word < 12; word++) {
                text.append(pick(random, MATERIALS)).append(word % 4 == 3 ? ". " : " ").append(pick(random, THINGS)).append(' ');
            }
            BigDecimal price = BigDecimal.valueOf(random.nextInt(90_000) + 100, 2);
            LocalDate since = LocalDate.of(2015, 1, 1).plusDays(random.nextInt(3_600));
            articles.add(new Article(number, name, pick(random, MAKERS), price, since,
                List.of(pick(random, MATERIALS), pick(random, THINGS)), text.toString()));
        }
        return new Catalogue(articles);
    }

    int size() {
        return articles.size();
    }

    Stream<Article> stream() {
        return articles.stream();
    }

    Article get(int number) {
        return articles.get(Math.floorMod(number, articles.size()));
    }

    private static String pick(Random random, String[] of) {
        return of[random.nextInt(of.length)];
    }
}
