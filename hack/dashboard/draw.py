"""Draws a Grafana dashboard as SVG: its panels where they lie, with what Prometheus answered to their queries.

usage: draw.py DATA DASHBOARD

DATA holds the answers that the test of the dashboards keeps, DASHBOARD names a file of manifests/monitoring.
"""

import json
import math
import pathlib
import re
import sys
from xml.sax.saxutils import escape

CELL, UNIT, GAP = 60, 30, 8
PALETTE = ["#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#37872d", "#8ab8ff", "#e0b400", "#c4162a"]
COLORS = {"green": "#73bf69", "yellow": "#f2cc0c", "red": "#f2495c", "text": "#ccccdc"}
MANIFESTS = pathlib.Path(__file__).resolve().parents[2] / "manifests" / "monitoring"


def main():
    data = json.loads(pathlib.Path(sys.argv[1]).read_text())
    name = sys.argv[2]
    dashboard = json.loads((MANIFESTS / name).read_text())
    answers = {}
    for drawn in data["dashboards"]:
        if drawn["dashboard"] == name:
            for query in drawn["queries"]:
                answers[query["panel"], query["query"]] = query["series"]
    print(page(dashboard, answers, data["start"], data["end"]))


def page(dashboard, answers, start, end):
    panels = dashboard["panels"]
    height = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in panels) * UNIT + 60
    width = 24 * CELL + 2 * GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="Inter, Helvetica, Arial, sans-serif">',
        f'<rect width="{width}" height="{height}" fill="#111217"/>',
        text(GAP + 4, 32, dashboard["title"], 20, "#ffffff"),
        text(width - GAP, 32, f"{end - start:.0f} s of a test on one machine", 13, "#9fa7b3", "end"),
    ]
    for panel in panels:
        grid = panel["gridPos"]
        x, y = GAP + grid["x"] * CELL, 48 + grid["y"] * UNIT
        w, h = grid["w"] * CELL - GAP, grid["h"] * UNIT - GAP
        if panel["type"] == "row":
            parts.append(text(x + 4, y + 18, "▾ " + panel["title"], 15, "#ffffff"))
            continue
        series = named_series(panel, answers)
        parts.append(f'<g transform="translate({x} {y})"><rect width="{w}" height="{h}" rx="3" fill="#181b1f" stroke="#2c3235"/>')
        draw = stat if panel["type"] == "stat" else graph
        parts.append(draw(panel, series, w, h, start, end))
        parts.append("</g>")
    return "\n".join(parts + ["</svg>"])


def named_series(panel, answers):
    found = []
    for target in panel["targets"]:
        for series in answers.get((panel["id"], target["refId"]), []):
            found.append((legend(target["legendFormat"], series["labels"]), series["points"]))
    return found


def legend(form, labels):
    return re.sub(r"{{\s*(\w+)\s*}}", lambda match: labels.get(match[1], ""), form)


def stat(panel, series, w, h, _start, _end):
    defaults = panel["fieldConfig"]["defaults"]
    value = series[0][1][-1][1] if series else None
    if value is not None and defaults.get("decimals") == 0:
        value = round(value)
    shown = defaults.get("noValue", "no data") if value is None else show(value, defaults["unit"])
    color = COLORS["text"]
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is None or (value or 0) >= step["value"]:
            color = COLORS[step["color"]]
    return text(8, 18, panel["title"], 12, "#ccccdc") + text(w / 2, h / 2 + 22, shown, 30, color, "middle")


def graph(panel, series, w, h, start, end):
    unit = panel["fieldConfig"]["defaults"]["unit"]
    left, top, right, bottom = 62, 30, w - 12, h - 24 - legend_height(series, w)
    high = max((value for _, points in series for _, value in points), default=0)
    size = 2**20 if unit == "bytes" else 1
    ticks = [tick * size for tick in scale(high / size)]
    parts = [text(8, 18, panel["title"], 13, "#ccccdc")]
    for tick in ticks:
        y = bottom - (bottom - top) * tick / ticks[-1]
        parts.append(f'<path d="M{left} {y:.1f}H{right}" stroke="#2c3235"/>')
        parts.append(text(left - 6, y + 4, show(tick, unit), 10, "#9fa7b3", "end"))
    for second in range(0, int(end - start) + 1, step_of_time(end - start)):
        x = left + (right - left) * second / (end - start)
        parts.append(text(x, bottom + 14, f"{second // 60}:{second % 60:02}", 10, "#9fa7b3", "middle"))
    for index, (_, points) in enumerate(series):
        parts.append(line(points, (left, top, right, bottom), (start, end), ticks[-1], PALETTE[index % len(PALETTE)]))
    if not series:
        parts.append(text((left + right) / 2, (top + bottom) / 2, "no data", 13, "#9fa7b3", "middle"))
    parts += legends(series, bottom + 30, w)
    return "".join(parts)


def line(points, box, times, high, color):
    left, top, right, bottom = box
    start, end = times
    path, before = "", None
    for at, value in points:
        x, y = left + (right - left) * (at - start) / (end - start), bottom - (bottom - top) * value / high
        # Prometheus is asked for every second: where it had no answer, there is a gap.
        path += f"{'L' if before is not None and at - before < 1.5 else 'M'}{x:.1f} {y:.1f}"
        before = at
    return f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.5" stroke-linecap="round"/>'


def legend_places(series, w):
    x, row, places = 10, 0, []
    for name, _ in series:
        length = 24 + 6.2 * len(name)
        if x + length > w and x > 10:
            x, row = 10, row + 1
        places.append((x, row))
        x += length
    return places


def legend_height(series, w):
    return 16 * (1 + max((row for _, row in legend_places(series, w)), default=0))


def legends(series, y, w):
    parts = []
    for index, ((name, _), (x, row)) in enumerate(zip(series, legend_places(series, w))):
        color = PALETTE[index % len(PALETTE)]
        parts.append(f'<rect x="{x}" y="{y + 16 * row - 5}" width="10" height="3" fill="{color}"/>')
        parts.append(text(x + 14, y + 16 * row, name, 11, "#ccccdc"))
    return parts


def scale(high):
    if high <= 0:
        return [0, 1]
    rough = high / 4
    power = 10 ** math.floor(math.log10(rough))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= rough)
    return [step * index for index in range(math.ceil(high / step - 1e-9) + 1)]


def step_of_time(seconds):
    return next((step for step in (5, 10, 15, 30, 60, 120) if seconds / step <= 6), 300)


def show(value, unit):
    if unit == "s":
        for size, name in ((86400, "d"), (3600, "h"), (1, "s"), (1e-3, "ms"), (1e-6, "µs")):
            if abs(value) >= size:
                return f"{number(value / size)} {name}"
        return f"{number(value)} s"
    if unit == "bytes":
        for size, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
            if abs(value) >= size:
                return f"{number(value / size)} {name}"
        return f"{number(value)} B"
    if unit == "percentunit":
        return f"{number(100 * value)} %"
    if unit in ("reqps", "cps"):
        return f"{number(value)}/s"
    return number(value)


def number(value):
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def text(x, y, content, size, color, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{color}" text-anchor="{anchor}">{escape(content)}</text>'


if __name__ == "__main__":
    main()
