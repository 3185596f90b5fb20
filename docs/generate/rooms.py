"""The rooms of the package, from its files: what each is for, what it imports, and a drawing of both."""

from __future__ import annotations

import ast
from itertools import groupby
from pathlib import Path

from docs.generate.markdown import code, table

PACKAGE = Path(__file__).parents[2] / "raytrain"
# The rooms whose code runs on the cluster; the others are light, and run on whatever machine a user types on.
ON_THE_CLUSTER = ("data", "driver", "worker", "model")

_WIDTH, _HEIGHT, _GAP, _STEP = 150, 48, 40, 90  # of a box, between boxes, and from layer to layer, in pixels
_LIGHT, _HEAVY, _LINE = "#e8f0fe", "#fdeecf", "#5f6368"


def rooms() -> list[str]:
    return sorted(folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").exists())


def purpose(room: str) -> str:
    """The first paragraph of the room's docstring, on one line."""
    text = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text())) or ""
    return " ".join(text.partition("\n\n")[0].split())


def imports() -> dict[str, set[str]]:
    """The rooms that each room's modules import, functions included; `cli` apart, which no room may import."""
    known = set(rooms())
    found: dict[str, set[str]] = {room: set() for room in known}
    for room in known:
        for file in (PACKAGE / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("raytrain"):
                    names = [f"{node.module}.{alias.name}" for alias in node.names]
                    found[room] |= {name.split(".")[1] for name in names} & known
        found[room] -= {room, "cli"}
    return found


def room_table() -> str:
    uses = imports()
    order = sorted(uses, key=lambda room: (-_layer(room, uses), room))
    rows = ([code(f"{room}/"), purpose(room), ", ".join(map(code, sorted(uses[room]))) or "no room"] for room in order)
    return table(["room", "what it is", "imports"], rows)


def drawing() -> str:
    """An SVG: a box a room, above those that it imports; arrows that follow from others are left out."""
    uses = imports()
    by_layer = groupby(sorted(uses, key=lambda room: _layer(room, uses)), key=lambda room: _layer(room, uses))
    layers = [sorted(group, key=lambda room: (room in ON_THE_CLUSTER, room)) for _, group in by_layer]
    widest = max(map(len, layers))
    width, height = widest * (_WIDTH + _GAP) + _GAP, len(layers) * _STEP
    places = {
        room: (width * (index + 0.5) / len(layer) - _WIDTH / 2, height - 20 - _STEP * level - _HEIGHT)
        for level, layer in enumerate(layers)
        for index, room in enumerate(layer)
    }
    arrows = [_arrow(places[room], places[used]) for room in sorted(uses) for used in sorted(_direct(room, uses))]
    boxes = [_box(room, *places[room]) for room in sorted(uses)]
    return "\n".join([_head(width, height), *arrows, *boxes, "</svg>\n"])


def _layer(room: str, uses: dict[str, set[str]]) -> int:
    return max((_layer(used, uses) + 1 for used in uses[room]), default=0)


def _direct(room: str, uses: dict[str, set[str]]) -> set[str]:
    """Those that a room imports, but for those that it gets to by way of another one."""
    return {used for used in uses[room] if not any(used in _reached(other, uses) for other in uses[room] - {used})}


def _reached(room: str, uses: dict[str, set[str]]) -> set[str]:
    return uses[room].union(*(_reached(used, uses) for used in uses[room]))


def _head(width: float, height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" font-family="sans-serif">\n'
        '<defs><marker id="tip" markerWidth="9" markerHeight="9" refX="8" refY="4" orient="auto">'
        f'<path d="M0,0 L9,4 L0,8 z" fill="{_LINE}"/></marker></defs>\n'
        f'<rect width="{width:g}" height="{height:g}" fill="white"/>'
    )


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = start, end
    ends = f'x1="{x1 + _WIDTH / 2:g}" y1="{y1 + _HEIGHT:g}" x2="{x2 + _WIDTH / 2:g}" y2="{y2:g}"'
    return f'<line {ends} stroke="{_LINE}" stroke-width="1.5" marker-end="url(#tip)"/>'


def _box(room: str, x: float, y: float) -> str:
    colour, where = (_HEAVY, "on the cluster") if room in ON_THE_CLUSTER else (_LIGHT, "light: anywhere")
    box = f'<rect x="{x:g}" y="{y:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="8" fill="{colour}" stroke="{_LINE}"/>'
    middle = f'x="{x + _WIDTH / 2:g}" text-anchor="middle"'
    name = f'<text {middle} y="{y + 21:g}" font-size="15" font-weight="bold">{room}</text>'
    return f'{box}\n{name}\n<text {middle} y="{y + 38:g}" font-size="11">{where}</text>'
