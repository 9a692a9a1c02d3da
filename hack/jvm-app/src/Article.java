import java.math.BigDecimal;
import java.time.LocalDate;
import java.util.List;

/** What the shop sells. */
public record Article(int number, String name, String maker, BigDecimal price, LocalDate since, List<String> tags, String text) {}
