"""A table with aligned columns, as lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from raytrain.clean_text import clean


def columns(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table with aligned columns, two spaces apart; numbers stand to the right."""
    cells = [[clean(cell).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [list(header), *cells]) for column in range(len(header))]
    right = [bool(cells) and all(_is_figure(row[column]) for row in cells) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        parts = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        return "  ".join(parts).rstrip()

    return [line(list(header)), *(line(row) for row in cells)]


def _is_figure(cell: str) -> bool:
    return cell == "-" or cell[:1].isdigit() or (cell[:1] in "-+." and cell[1:2].isdigit())
