import java.math.BigDecimal;
import java.math.RoundingMode;
import java.text.NumberFormat;
import java.time.DayOfWeek;
import java.time.LocalDate;
import java.time.format.DateTimeFormatter;
import java.time.format.FormatStyle;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** An invoice: decimal arithmetic, dates and amounts as people of several countries write them. */
final class Invoice {
    private static final Locale[] COUNTRIES = {Locale.US, Locale.GERMANY, Locale.FRANCE, Locale.JAPAN};

    private final Catalogue catalogue;

    Invoice(Catalogue catalogue) {
        this.catalogue = catalogue;
    }

    Object of(int customer) {
        Locale country = COUNTRIES[Math.floorMod(customer, COUNTRIES.length)];
        NumberFormat money = NumberFormat.getCurrencyInstance(country);
        DateTimeFormatter dates = DateTimeFormatter.ofLocalizedDate(FormatStyle.LONG).withLocale(country);
        BigDecimal total = BigDecimal.ZERO;
        List<Object> lines = new ArrayList<>();
        for (int line = 0; line < 25; line++) {
            Article article = catalogue.get(customer * 31 + line * 17);
            BigDecimal count = BigDecimal.valueOf(line % 4 + 1L);
            BigDecimal net = article.price().multiply(count);
            BigDecimal tax = net.multiply(new BigDecimal("0.19")).setScale(2, RoundingMode.HALF_EVEN);
            total = total.add(net).add(tax);
            Map<String, Object> entry = new LinkedHashMap<>();
            entry.put("article", article.name());
            entry.put("net", money.format(net));
            entry.put("tax", money.format(tax));
            entry.put("delivery", dates.format(workday(article.since().plusYears(8).plusDays(line))));
            lines.add(entry);
        }
        return Map.of("customer", customer, "country", country.getDisplayCountry(country), "lines", lines, "total", money.format(total));
    }

    private static LocalDate workday(LocalDate date) {
        LocalDate day = date;
        while (day.getDayOfWeek() == DayOfWeek.SATURDAY || day.getDayOfWeek() == DayOfWeek.SUNDAY) {
            day = day.plusDays(1);
        }
        return day;
    }
}
