"""Numbers -> charts as inline SVG: accessible (title, description), scaled by the page, coloured by its style sheet.

Built as an element tree, so that no label can break out of it. Colours are classes (s0 ... s7, good, ...): the style
sheet gives them a light and a dark value, and no chart says anything by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple
from xml.etree import ElementTree as ET

from markupsafe import Markup

WIDTH = 760
LABEL = 190  # room for the labels on the left
CHARACTER = 7.3  # width of a character at the charts' font size, rather too much, for cutting and wrapping
LINE = 15  # between two lines of one label
SERIES = 8
Scale = Callable[[float], float]
Place = Callable[[float, float], tuple[float, float]]


class Interval(NamedTuple):
    """One row of an interval chart; the ends are None where no interval could be computed."""

    label: str
    low: float | None
    middle: float
    high: float | None
    text: str


class Bar(NamedTuple):
    """One bar of a group, with its series' number; value None = nothing was measured."""

    series: int
    value: float | None
    text: str


class Part(NamedTuple):
    """One part of a divided bar; ``look`` is its colour class."""

    label: str
    number: int
    look: str


class Band(NamedTuple):
    """One divided bar of the funnel."""

    label: str
    total: int
    note: str
    parts: tuple[Part, ...]


class Point(NamedTuple):
    """One point of a line, with its interval if there is one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


def _canvas(name: str, title: str, description: str, height: float) -> ET.Element:
    svg = ET.Element(
        "svg",
        {
            "viewBox": f"0 0 {WIDTH} {height:g}",
            "role": "img",
            "aria-labelledby": f"{name}-title {name}-desc",
            "class": "chart",
        },
    )
    ET.SubElement(svg, "title", {"id": f"{name}-title"}).text = title
    ET.SubElement(svg, "desc", {"id": f"{name}-desc"}).text = description
    return svg


def _markup(svg: ET.Element) -> Markup:
    return Markup(ET.tostring(svg, encoding="unicode", short_empty_elements=False))


def _text(parent: ET.Element, x: float, y: float, text: str, look: str = "", anchor: str = "start") -> ET.Element:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor, "class": look or "label"}
    node = ET.SubElement(parent, "text", place)
    node.text = text
    return node


def _line(parent: ET.Element, x1: float, y1: float, x2: float, y2: float, look: str) -> None:
    ends = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    ET.SubElement(parent, "line", {**ends, "class": look})


def _rect(parent: ET.Element, x: float, y: float, width: float, height: float, look: str, hint: str = "") -> None:
    box = {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{max(width, 0):.1f}", "height": f"{height:.1f}"}
    node = ET.SubElement(parent, "rect", {**box, "class": look})
    if hint:
        ET.SubElement(node, "title").text = hint


def _short(label: str, room: float) -> str:
    most = max(int(room / CHARACTER), 4)
    return label if len(label) <= most else label[: most - 1].rstrip() + "…"


def _row_label(svg: ET.Element, y: float, label: str) -> None:
    """In two lines where it is long: names of arms often differ at their ends only."""
    lines = _in_two(label, int((LABEL - 14) / CHARACTER))
    for number, line in enumerate(lines):
        at = y + (number - (len(lines) - 1) / 2) * LINE
        node = _text(svg, LABEL - 12, at, _short(line, LABEL - 14), anchor="end")
        ET.SubElement(node, "title").text = label


def _in_two(label: str, most: int) -> list[str]:
    """One line if it fits, else two, which part between words where that is possible."""
    if len(label) <= most:
        return [label]
    at = label.rfind(" ", 0, most + 1)
    return [label[:at], label[at + 1 :]] if at > 0 else [label[:most], label[most:]]


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers that cover [low, high], at most about ``most`` of them."""
    span = max(high - low, 1e-9)
    raw = span / most
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]


def points(value: float, *, signed: bool = False) -> str:
    """A proportion as per cent: 0.625 -> 62.5."""
    text = f"{value * 100:+.1f}" if signed else f"{value * 100:.1f}"
    return text.replace("-", "−")


def intervals(name: str, title: str, rows: Sequence[Interval], *, signed: bool = False) -> Markup:
    """Point estimates with their 95% intervals, one row each; ``signed`` draws differences around zero."""
    ends = [end for row in rows for end in (row.low, row.middle, row.high) if end is not None]
    marks = ticks(min([*ends, 0.0]), max([*ends, 0.0])) if signed else ticks(0.0, 1.0, 5)
    if len(marks) < 2:
        marks = [-0.1, 0.0, 0.1]
    left, right, top, pitch = LABEL, WIDTH - 172, 26, 34

    def x(value: float) -> float:
        return left + (value - marks[0]) / (marks[-1] - marks[0]) * (right - left)

    bottom = top + pitch * len(rows)
    description = "; ".join(f"{row.label}: {row.text}" for row in rows)
    svg = _canvas(name, title, description, bottom + 12)
    for mark in marks:
        _line(svg, x(mark), top - 6, x(mark), bottom, "axis" if mark == 0 else "grid")
        label = f"{mark * 100:+.0f}" if signed and mark else f"{mark * 100:.0f}"
        _text(svg, x(mark), 13, label.replace("-", "−") + ("" if signed else "%"), "tick", "middle")
    for index, row in enumerate(rows):
        _interval_row(svg, row, index, top + pitch * index + pitch / 2, x, signed)
    return _markup(svg)


def _interval_row(svg: ET.Element, row: Interval, index: int, y: float, x: Scale, signed: bool) -> None:
    _row_label(svg, y + 4, row.label)
    look = "s1" if signed else f"s{index % SERIES}"
    if row.low is not None and row.high is not None:
        _line(svg, x(row.low), y, x(row.high), y, f"whisker {look}")
        for end in (row.low, row.high):
            _line(svg, x(end), y - 5, x(end), y + 5, f"whisker {look}")
    dot = ET.SubElement(svg, "circle", {"cx": f"{x(row.middle):.1f}", "cy": f"{y:.1f}", "r": "5.5", "class": look})
    ET.SubElement(dot, "title").text = f"{row.label}: {row.text}"
    _text(svg, WIDTH - 4, y + 4, row.text, "value", "end")


def bars(name: str, title: str, series: Sequence[str], groups: Sequence[tuple[str, Sequence[Bar]]]) -> Markup:
    """Grouped horizontal bars on 0-100%: one group per category, one bar per arm."""
    left, right, thick, gap = LABEL, WIDTH - 110, 13, 14
    legend = _wrap([(label, f"s{index % SERIES}") for index, label in enumerate(series)], WIDTH - left)
    top = 22 + 20 * len(legend)
    heights = [thick * max(len(items), 1) + gap for _, items in groups]
    bottom = top + sum(heights)
    description = "; ".join(
        f"{label}: " + ", ".join(f"{series[bar.series]} {bar.text}" for bar in row) for label, row in groups
    )
    svg = _canvas(name, title, description, bottom + 6)
    _legend(svg, legend, left, 12)
    for mark in ticks(0.0, 1.0, 5):
        at = left + mark * (right - left)
        _line(svg, at, top - 4, at, bottom, "axis" if mark == 0 else "grid")
        _text(svg, at, top - 9, f"{mark * 100:.0f}%", "tick", "middle")
    y = float(top)
    for (label, items), height in zip(groups, heights, strict=True):
        _row_label(svg, y + height / 2 + 3, label)
        for index, bar in enumerate(items):
            at, value = y + gap / 2 + index * thick, bar.value or 0.0
            hint = f"{label}, {series[bar.series]}: {bar.text}"
            _rect(svg, left, at + 1, max(value * (right - left), 1.5), thick - 2.5, f"s{bar.series % SERIES}", hint)
            _text(svg, left + value * (right - left) + 7, at + thick - 3, bar.text, "small")
        y += height
    return _markup(svg)


def _wrap(entries: Sequence[tuple[str, str]], room: float) -> list[list[tuple[float, str, str]]]:
    """Lay out legend entries in lines: (offset, label, look)."""
    lines: list[list[tuple[float, str, str]]] = [[]]
    at = 0.0
    for label, look in entries:
        width = 17 + min(len(label), 60) * CHARACTER + 16
        if at + width > room and lines[-1]:
            lines.append([])
            at = 0.0
        lines[-1].append((at, _short(label, 60 * CHARACTER), look))
        at += width
    return lines


def _legend(svg: ET.Element, lines: Sequence[Sequence[tuple[float, str, str]]], left: float, top: float) -> None:
    for row, line in enumerate(lines):
        for at, label, look in line:
            _rect(svg, left + at, top + row * 19 - 9, 10, 10, look)
            _text(svg, left + at + 16, top + row * 19, label, "small")


def funnel(name: str, title: str, bands: Sequence[Band]) -> Markup:
    """Stages from top to bottom: how many there were, and what became of them as a divided bar."""
    left, right = LABEL, WIDTH - 4
    layouts = [
        _wrap([(f"{part.label} {part.number:,}", part.look) for part in band.parts], right - left) for band in bands
    ]
    heights = [34 + 19 * (len(lines) if band.parts else 1) + 14 for band, lines in zip(bands, layouts, strict=True)]
    description = "; ".join(
        f"{band.label}: {band.total}" + "".join(f", {part.label} {part.number}" for part in band.parts)
        for band in bands
    )
    svg = _canvas(name, title, description, sum(heights) + 2)
    y = 4.0
    for band, lines, height in zip(bands, layouts, heights, strict=True):
        _text(svg, LABEL - 16, y + 17, f"{band.total:,}", "count", "end")
        _text(svg, LABEL - 16, y + 35, band.label, "small", "end")
        _divided(svg, band, left, right, y)
        _legend(svg, lines if band.parts else [], left, y + 40)
        y += height
    return _markup(svg)


def _divided(svg: ET.Element, band: Band, left: float, right: float, y: float) -> None:
    whole = sum(part.number for part in band.parts)
    if not whole:
        _rect(svg, left, y + 2, right - left, 20, "rest", f"{band.label}: {band.total}")
    at = left
    for part in band.parts:
        width = part.number / whole * (right - left) if whole else 0
        hint = f"{part.label}: {part.number:,} of {whole:,} ({points(part.number / whole)}%)" if whole else ""
        _rect(svg, at, y + 2, max(width - 1.5, 0.8 if part.number else 0), 20, part.look, hint)
        at += width
    if band.note:
        _text(svg, right, y + 40, band.note, "small", "end")  # below, as no colour of a bar suits it


def line(name: str, title: str, across: str, data: Sequence[Point]) -> Markup:
    """A rate over a count, with the band of its intervals."""
    left, right, top, bottom = 60, WIDTH - 30, 18, 250
    xs = ticks(0.0, max(point.x for point in data) or 1.0, 8)
    ends = [end for point in data for end in (point.y, point.high) if end is not None]
    ys = ticks(0.0, min(max([*ends, 0.1]) * 1.05, 1.0), 5)

    def place(x: float, y: float) -> tuple[float, float]:
        return left + x / xs[-1] * (right - left), bottom - y / ys[-1] * (bottom - top)

    description = "; ".join(f"{point.x:g} {across}: {points(point.y)}%" for point in data)
    svg = _canvas(name, title, description, bottom + 50)
    _axes(svg, xs, ys, place, across)
    _band(svg, data, place)
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(point.x, point.y) for point in data))
    ET.SubElement(svg, "polyline", {"points": path, "class": "curve"})
    for point in data:
        x, y = place(point.x, point.y)
        dot = ET.SubElement(svg, "circle", {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "4.5", "class": "s1"})
        ET.SubElement(dot, "title").text = f"{point.x:g} {across}: {points(point.y)}%"
        _text(svg, x, y - 11, points(point.y), "small", "middle")
    return _markup(svg)


def _axes(
    svg: ET.Element,
    xs: Sequence[float],
    ys: Sequence[float],
    place: Place,
    across: str,
) -> None:
    """Marks of a rate upwards, with lines, and of what is counted across, with its name."""
    for mark in ys:
        (left, height), (right, _) = place(0, mark), place(xs[-1], mark)
        _line(svg, left, height, right, height, "axis" if mark == 0 else "grid")
        _text(svg, left - 9, height + 4, f"{mark * 100:.0f}%", "tick", "end")
    for mark in xs:
        x, bottom = place(mark, 0)
        _text(svg, x, bottom + 20, f"{mark:,.0f}", "tick", "middle")
    (left, bottom), (right, _) = place(0, 0), place(xs[-1], 0)
    _text(svg, (left + right) / 2, bottom + 43, across, "small", "middle")


def scatter(name: str, title: str, across: str, data: Sequence[tuple[str, Point]]) -> Markup:
    """A rate over a cost, a dot for each label; labels are numbered where they stand, and named below."""
    left, right, top, bottom = 60, WIDTH - 30, 18, 250
    xs = ticks(0.0, max(point.x for _, point in data) or 1.0, 8)
    ys = ticks(0.0, min(max([point.y for _, point in data] + [0.1]) * 1.05, 1.0), 5)

    def place(x: float, y: float) -> tuple[float, float]:
        return left + x / xs[-1] * (right - left), bottom - y / ys[-1] * (bottom - top)

    told = [f"{label}: {point.x:,.0f} {across}, {points(point.y)}%" for label, point in data]
    svg = _canvas(name, title, "; ".join(told), bottom + 50 + 20 * len(data))
    _axes(svg, xs, ys, place, across)
    for number, (text, (_, point)) in enumerate(zip(told, data, strict=True), start=1):
        x, y = place(point.x, point.y)
        dot = ET.SubElement(svg, "circle", {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "4.5", "class": "s1"})
        ET.SubElement(dot, "title").text = text
        _text(svg, x, y - 9, str(number), "small", "middle")
        _text(svg, left, bottom + 46 + 20 * number, f"{number}  {text}", "small")
    return _markup(svg)


def _band(svg: ET.Element, data: Sequence[Point], place: Place) -> None:
    known = [(point.x, point.low, point.high) for point in data if point.low is not None and point.high is not None]
    if len(known) < 2:
        return
    edge = [place(x, high) for x, _, high in known] + [place(x, low) for x, low, _ in reversed(known)]
    ET.SubElement(svg, "polygon", {"points": " ".join(f"{x:.1f},{y:.1f}" for x, y in edge), "class": "band"})


def curves(name: str, title: str, across: str, data: Sequence[tuple[str, Sequence[Point]]]) -> Markup:
    """Quantities over a count, a line each: ("training", [Point(1, 2.5), ...]); from 0 up, so falls are to scale."""
    left, right, top, bottom = 60, WIDTH - 30, 40, 270
    everything = [point for _, points_of in data for point in points_of]
    xs = ticks(0.0, max(point.x for point in everything) or 1.0, 8)
    ys = ticks(0.0, max(point.y for point in everything) * 1.05 or 1.0, 5)

    def place(x: float, y: float) -> tuple[float, float]:
        return left + x / xs[-1] * (right - left), bottom - y / ys[-1] * (bottom - top)

    ends = "; ".join(f"{label} {of[0].y:.3f} to {of[-1].y:.3f}" for label, of in data)
    svg = _canvas(name, title, ends, bottom + 50)
    for mark in ys:
        _line(svg, left, place(0, mark)[1], right, place(0, mark)[1], "axis" if mark == 0 else "grid")
        _text(svg, left - 9, place(0, mark)[1] + 4, f"{mark:g}", "tick", "end")
    for mark in xs:
        _text(svg, place(mark, 0)[0], bottom + 20, f"{mark:,.0f}", "tick", "middle")
    _text(svg, (left + right) / 2, bottom + 43, across, "small", "middle")
    for number, (label, of) in enumerate(data):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(point.x, point.y) for point in of))
        ET.SubElement(svg, "polyline", {"points": path, "class": f"curve stroke{number}"})
        x, y = place(of[-1].x, of[-1].y)
        ET.SubElement(svg, "circle", {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "4.5", "class": f"s{number + 1}"})
        _text(
            svg, left + 8 + number * 220, top - 14, f"{'●' if number == 0 else '○'} {label}: {of[-1].y:.3f} at the end"
        )
    return _markup(svg)
