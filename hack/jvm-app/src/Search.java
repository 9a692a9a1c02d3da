import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Full text search: one regular expression for each word, a score, the best twenty. */
final class Search {
    private record Hit(Article article, double score) {}

    private final Catalogue catalogue;

    Search(Catalogue catalogue) {
        this.catalogue = catalogue;
    }

    Object find(String question) {
        List<Pattern> words = new ArrayList<>();
        for (String word : question.toLowerCase(Locale.ROOT).split("\\s+")) {
            words.add(Pattern.compile("\\b(" + Pattern.quote(word) + ")(\\w*)", Pattern.CASE_INSENSITIVE));
        }
        List<Hit> hits = catalogue.stream()
            .filter(article -> article.number() % 8 == 0)
            .map(article -> new Hit(article, score(article, words)))
            .filter(hit -> hit.score() > 0)
            .sorted(Comparator.comparingDouble(Hit::score).reversed().thenComparing(hit -> hit.article().name()))
            .limit(20)
            .toList();
        List<Object> found = new ArrayList<>();
        for (Hit hit : hits) {
            Map<String, Object> entry = new LinkedHashMap<>();
            entry.put("name", hit.article().name());
            entry.put("score", String.format(Locale.ROOT, "%.3f", hit.score()));
            entry.put("price", hit.article().price());
            found.add(entry);
        }
        return Map.of("question", question, "hits", found);
    }

    private static double score(Article article, List<Pattern> words) {
        double score = 0;
        for (Pattern word : words) {
            Matcher inName = word.matcher(article.name());
            while (inName.find()) {
                score += inName.group(2).isEmpty() ? 5 : 2;
            }
            Matcher inText = word.matcher(article.text());
            while (inText.find()) {
                score += 1.0 / (1 + inText.start());
            }
        }
        return score;
    }
}
