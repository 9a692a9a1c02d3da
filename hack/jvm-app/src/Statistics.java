import java.math.BigDecimal;
import java.time.Month;
import java.util.DoubleSummaryStatistics;
import java.util.IntSummaryStatistics;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** Figures of a year by maker and month: streams, collectors, boxed numbers. */
final class Statistics {
    private final Catalogue catalogue;

    Statistics(Catalogue catalogue) {
        this.catalogue = catalogue;
    }

    Object of(int year) {
        int wanted = 2015 + Math.floorMod(year, 9);
        List<Article> articles = catalogue.stream().filter(article -> article.since().getYear() == wanted).toList();
        Map<String, Map<Month, DoubleSummaryStatistics>> prices = articles.stream().collect(Collectors.groupingBy(
            Article::maker, TreeMap::new, Collectors.groupingBy(article -> article.since().getMonth(), TreeMap::new,
                Collectors.summarizingDouble(article -> article.price().doubleValue()))));
        Map<String, Object> makers = new LinkedHashMap<>();
        prices.forEach((maker, months) -> {
            Map<String, Object> rows = new LinkedHashMap<>();
            months.forEach((month, figures) -> rows.put(month.name(),
                List.of(figures.getCount(), figures.getMin(), figures.getAverage(), figures.getMax())));
            makers.put(maker, rows);
        });
        Map<String, Long> tags = articles.stream().flatMap(article -> article.tags().stream())
            .collect(Collectors.groupingBy(tag -> tag, TreeMap::new, Collectors.counting()));
        IntSummaryStatistics lengths = articles.stream().mapToInt(article -> article.text().length()).summaryStatistics();
        BigDecimal total = articles.stream().map(Article::price).reduce(BigDecimal.ZERO, BigDecimal::add);
        return Map.of("year", wanted, "makers", makers, "tags", tags, "longest", lengths.getMax(), "total", total);
    }
}
