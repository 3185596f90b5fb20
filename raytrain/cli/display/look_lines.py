"""A look at a job's data in lines: a row a column, then classes, what is refused, and what is suspicious."""

from __future__ import annotations

from collections.abc import Iterator

from raytrain import formatting
from raytrain.cli.display.columns import columns
from raytrain.spec.data_look import ColumnLook, DataLook

_HEADER = ("column", "is", "in the file", "becomes", "empty", "distinct", "min", "max", "values", "after the steps")


def look_lines(look: DataLook) -> Iterator[str]:
    """Lines for people; widths follow what is in them."""
    rows = ", ".join(f"{formatting.count(count)} {split}" for split, count in look.rows.items())
    yield f"the data: {rows} rows" + ("" if look.is_whole else ", the first of each source alone")
    yield from (f"  {line}" for line in columns(_HEADER, [_row(column) for column in look.columns]))
    for column in look.columns:
        if column.classes:
            counts = ", ".join(f"{name}: {formatting.count(count)}" for name, count in column.classes)
            yield f"  classes of {column.name}: {counts}"
    for column in look.columns:
        if column.refused:
            yield f"  refused    {column.refused}"
    yield from (f"  refused    {problem}" for problem in look.problems if not any(c.refused for c in look.columns))
    yield from (f"  suspicious {words}" for words in look.suspicious)


def _row(column: ColumnLook) -> tuple[str, ...]:
    extent = column.preprocessed
    return (
        column.name,
        column.role or "not used",
        column.kind,
        column.becomes or ("refused" if column.refused else "-"),
        str(column.empty),
        "-" if column.distinct is None else str(column.distinct),
        _word(column.low),
        _word(column.high),
        ", ".join(column.values),
        "-" if extent is None else f"{extent[0]:g} to {extent[1]:g}",
    )


def _word(value: float | str | None) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:g}"
