"""The rows of a JSON file: one on each line, or all in one list.

On the cluster Arrow reads rows that have a line each; what it refuses is read here as well, which names the line. A
`stream` is a file from its beginning, unpacked, `shown` its name as the user knows it; what is refused is a SpecError.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

from raytrain.errors import Problem, SpecError
from raytrain.spec.peek.text_lines import decoded

_WORDS = {bool: "true or false", int: "numbers", float: "numbers", str: "text", list: "lists", dict: "maps"}


def is_list(start: str | bytes) -> bool:
    """Whether a file is one list of rows, by how it begins."""
    return start.lstrip()[:1] in ("[", b"[")


def read_json_rows(stream: BinaryIO, shown: str, *, skim: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows with their lines; all rows of a list have line 0.

    Args:
        skim: takes a list, which is parsed whole or not at all, for one row without columns.
    """
    with decoded(stream, shown, "a JSON file") as text:
        lines = ((number, line) for number, line in enumerate(text, 1) if line.strip())
        first = next(lines, (0, ""))
        if is_list(first[1]):
            listed = [{}] if skim else json.loads(first[1] + text.read())
            rows: Iterator[tuple[int, Any]] = ((0, row) for row in listed)
        else:
            rows = ((number, _parsed(line, number, shown)) for number, line in chain([first], lines) if line)
        for number, row in rows:
            if not isinstance(row, dict):
                got = "a value that is no row" if not isinstance(row, list) else "a list"
                raise SpecError(Problem(got=got, expected='a row such as {"x": 1}', file=shown, line=number))
            yield number, row


def json_columns(stream: BinaryIO, shown: str, *, skim: bool = False) -> tuple[str, ...] | None:
    """The columns of the first row; None where there is no row."""
    return next((tuple(row) for _, row in read_json_rows(stream, shown, skim=skim)), None)


def no_json_rows(shown: str) -> SpecError:
    """Of a source all of whose files are empty."""
    return SpecError(Problem(got="an empty file", expected="a row on each line", file=shown))


def count_json_rows(stream: BinaryIO, shown: str, columns: tuple[str, ...], kinds: dict[str, str]) -> int:
    """The rows of a file, each of which has the columns and one kind of value in each.

    Args:
        kinds: in words, what each column was found to hold; added to.
    """
    rows = 0
    for line, row in read_json_rows(stream, shown):
        rows += 1
        missing = [name for name in columns if name not in row]
        if missing:
            fix = "give every row the same columns, null where there is nothing"
            got, expected = f"a row without `{missing[0]}`", ", ".join(columns)
            raise SpecError(Problem(got=got, expected=expected, fix=fix, file=shown, line=line))
        for name, value in row.items():
            kind = _WORDS.get(type(value), "")  # none of null
            if kind and kinds.setdefault(name, kind) != kind:
                got, expected = f"{kind} in column `{name}`", f"{kinds[name]}, as in the rows before it"
                raise SpecError(Problem(got=got, expected=expected, file=shown, line=line))
    return rows


def _parsed(line: str, number: int, shown: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SpecError(Problem(got=str(error), expected="a row of JSON", file=shown, line=number)) from None
