"""The rows of a JSON file: one on each line, or all in one list.

On the cluster Arrow reads rows that have a line each; what it refuses is read here as well, which names the line. A
`stream` is a file from its beginning, unpacked, `shown` its name as the user knows it; what is refused is a SpecError.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, BinaryIO

from raytrain.errors import Problem, SpecError
from raytrain.spec.peek.text_lines import decoded

_WORDS = {bool: "true or false", int: "numbers", float: "numbers", str: "text", list: "lists", dict: "maps"}


def is_list(start: str | bytes) -> bool:
    """Whether a file is one list of rows, by how it begins."""
    return start.lstrip()[:1] in ("[", b"[")


def read_json_rows(stream: BinaryIO, shown: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows with their lines; all rows of a list have line 0."""
    with decoded(stream, shown, "a JSON file") as text:
        lines = ((number, line) for number, line in enumerate(text, 1) if line.strip())
        first = next(lines, (0, ""))
        if is_list(first[1]):
            rows: Iterator[tuple[int, Any]] = ((0, row) for row in json.loads(first[1] + text.read()))
        else:
            rows = ((number, _parsed(line, number, shown)) for number, line in chain([first], lines) if line)
        for number, row in rows:
            if not isinstance(row, dict):
                got = "a value that is no row" if not isinstance(row, list) else "a list"
                raise SpecError(Problem(got=got, expected='a row such as {"x": 1}', file=shown, line=number))
            yield number, row


def flat_row(row: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The cells of a row: those of an object within it are columns of their own, `meta.a` for `{"meta": {"a": 1}}`."""
    for name, value in row.items():
        if isinstance(value, dict) and value:
            yield from flat_row(value, f"{above}{name}.")
        else:
            yield above + name, value


def no_json_rows(shown: str) -> SpecError:
    """Of a source all of whose files are empty."""
    return SpecError(Problem(got="an empty file", expected="a row on each line", file=shown))


def count_json_rows(stream: BinaryIO, shown: str, kinds: dict[str, str]) -> int:
    """The rows of a file, each of which has one kind of value in each column; a row need not have every column.

    Args:
        kinds: in words, what each column was found to hold, "" while that is nothing but null; added to.
    """
    rows = 0
    for line, row in read_json_rows(stream, shown):
        rows += 1
        for name, value in flat_row(row):
            kind = _WORDS.get(type(value), "")  # none of null
            if kind and (kinds.get(name) or kind) != kind:
                got, expected = f"{kind} in column `{name}`", f"{kinds[name]}, as in the rows before it"
                raise SpecError(Problem(got=got, expected=expected, file=shown, line=line))
            kinds[name] = kind or kinds.get(name, "")
    return rows


def json_columns(kinds: Iterable[str]) -> tuple[str, ...]:
    """The columns of the rows that `count_json_rows` counted: no object that was null in some row."""
    names = list(kinds)
    return tuple(name for name in names if not any(other.startswith(f"{name}.") for other in names))


def _parsed(line: str, number: int, shown: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SpecError(Problem(got=str(error), expected="a row of JSON", file=shown, line=number)) from None
