"""Pieces of Markdown that the generated parts of pages are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as GitHub and MkDocs both read it; a bar within a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def replace_block(page: str, name: str, text: str) -> str:
    """The page with what stands between `<!-- begin NAME… -->` and `<!-- end NAME -->` replaced by a text.

    Raises:
        ValueError: the page has not exactly one such place.
    """
    place = re.compile(rf"(<!-- begin {name}\b[^>]*-->\n).*?(<!-- end {name} -->)", re.DOTALL)
    if len(place.findall(page)) != 1:
        raise ValueError(f"expected one place for {name!r}, got {len(place.findall(page))}")
    return place.sub(lambda match: f"{match[1]}{text}{match[2]}", page)
