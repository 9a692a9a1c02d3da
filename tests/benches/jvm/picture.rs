//! Users' latency over time as an SVG picture: a dot for each of them.

use super::{
    app::Warmth,
    start::RATE,
    visits::{Visit, Visits},
};

/// Seconds that are shown.
const SECONDS: u32 = 10;
/// Latencies that are shown: powers of ten.
const DECADES: [&str; 6] = ["100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s"];
/// The frame of the dots, in pixels.
const LEFT: f64 = 70.0;
const TOP: f64 = 70.0;
const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 320.0;

/// The picture of some curves, drawn in this order.
pub(crate) fn svg(curves: &[(Warmth, &Visits)]) -> String {
    let title = format!("How long each user of a new Java pod waits, {RATE} users a second");
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 440" font-family="sans-serif" font-size="13">
<rect width="900" height="440" rx="6" fill="#fff"/>
<text x="{LEFT}" y="28" font-size="16" font-weight="bold">{title}</text>
"##
    );
    svg += &axes();
    for (number, (warmth, visits)) in (0..).zip(curves) {
        svg += &legend(number, *warmth);
        svg += &dots(*warmth, visits);
    }
    svg + "</svg>\n"
}

fn axes() -> String {
    let mut axes = String::new();
    for (decade, label) in (0..).zip(DECADES) {
        let y = TOP + HEIGHT * (1.0 - f64::from(decade) / 5.0);
        axes += &format!(
            r##"<line x1="{LEFT}" y1="{y}" x2="{right}" y2="{y}" stroke="#ddd"/><text x="{text}" y="{middle}" text-anchor="end">{label}</text>
"##,
            right = LEFT + WIDTH,
            text = LEFT - 8.0,
            middle = y + 4.0,
        );
    }
    for second in 0..=SECONDS {
        let x = LEFT + WIDTH * f64::from(second) / f64::from(SECONDS);
        axes += &format!(
            r#"<text x="{x}" y="{}" text-anchor="middle">{second} s</text>
"#,
            TOP + HEIGHT + 20.0
        );
    }
    let (x, y) = (LEFT + WIDTH / 2.0, TOP + HEIGHT + 40.0);
    axes + &format!(
        r#"<text x="{x}" y="{y}" text-anchor="middle">since the pod took its first user</text>
"#
    )
}

fn legend(number: u32, warmth: Warmth) -> String {
    let (color, text) = look(warmth);
    let x = LEFT + 270.0 * f64::from(number);
    format!(
        r#"<circle cx="{}" cy="48" r="5" fill="{color}"/><text x="{}" y="52">{text}</text>
"#,
        x + 5.0,
        x + 16.0
    )
}

fn look(warmth: Warmth) -> (&'static str, &'static str) {
    match warmth {
        Warmth::Unwarmed => ("#c0392b", "not warmed"),
        Warmth::Default => ("#e08e0b", "3 requests to / (the default)"),
        Warmth::Stable => ("#1e8449", "all paths, until stable"),
    }
}

fn dots(warmth: Warmth, visits: &Visits) -> String {
    let shown = visits.iter().filter(|visit| visit.due < f64::from(SECONDS));
    let dots: String = shown.filter_map(dot).collect();
    let color = look(warmth).0;
    format!(
        r#"<path d="{dots}" stroke="{color}" stroke-width="3.5" stroke-linecap="round" stroke-opacity=".7"/>
"#
    )
}

/// A line of no length; with round ends it is a dot.
fn dot(visit: &Visit) -> Option<String> {
    let height = (visit.latency? * 1e4).log10().clamp(0.0, 5.0) / 5.0;
    let (x, y) = (LEFT + WIDTH * visit.due / f64::from(SECONDS), TOP + HEIGHT * (1.0 - height));
    Some(format!("M{x:.1} {y:.1}h0"))
}
