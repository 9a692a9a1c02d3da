#!/usr/bin/env python3
"""Puts what the users of both shops saw side by side: table.py COLD-FOLDER WARM-FOLDER."""

import datetime
import json
import pathlib
import sys

COLUMNS = ["", "in service after", "first request", "p50", "p99", "slowest", "failed"]

WIDTH = 60


def row(folder):
    users = json.loads((folder / "users.json").read_text())
    asked = float((folder / "asked").read_text())
    started = datetime.datetime.fromisoformat(users["startedAt"].replace("Z", "+00:00")).timestamp()
    first = users["firstSecond"]
    times = [first["firstRequestMs"], first["p50Ms"], first["p99Ms"], first["maxMs"]]
    return {"label": users["label"], "after": started - asked, "times": times, "failed": first["failed"], "requests": first["requests"]}


def cells(row):
    return [
        "without kube-booster" if row["label"] == "cold" else "with kube-booster",
        f"{row['after']:.1f} s",
        *(milliseconds(time) for time in row["times"]),
        f"{row['failed']} of {row['requests']}",
    ]


def milliseconds(time):
    if time is None:
        return "–"
    return f"{time:,.0f} ms" if time >= 10 else f"{time:.1f} ms"


def ratio(cold, warm):
    return f"{cold / warm:,.0f} times" if cold and warm else "–"


def bar(time, longest):
    eighths = max(1, round(time / longest * WIDTH * 8))
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def paint(text, color):
    return f"\x1b[{color}m{text}\x1b[0m" if sys.stdout.isatty() else text


def main():
    cold, warm = (row(pathlib.Path(folder)) for folder in sys.argv[1:])
    lines = [COLUMNS, cells(cold), cells(warm)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    print(paint("What the users of the first second saw", "1"))
    print()
    for line, color in zip(lines, ["2", "31", "32"]):
        text = "  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))])
        print("  " + paint(text, color))
    print()
    (cold_first, _, cold_p99, _), (warm_first, _, warm_p99, _) = cold["times"], warm["times"]
    for name, time, color in [("p99 without", cold_p99, "31"), ("p99 with", warm_p99, "32")]:
        print(f"  {name:<{widths[0]}}  {paint(bar(time, max(cold_p99, warm_p99)), color)}")
    print()
    print(paint(f"  first request {ratio(cold_first, warm_first)} faster, p99 {ratio(cold_p99, warm_p99)} faster", "1"))


main()
