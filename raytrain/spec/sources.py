"""What the client can know of a source before submission: its rows and its columns."""

from __future__ import annotations

import contextlib
import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from raytrain.errors import Problem, SpecError
from raytrain.spec.files import find_files
from raytrain.spec.sklearn_sets import SKLEARN_SETS
from raytrain.spec.source import Source

# Past this much csv the client does not count rows: the driver, which reads them anyway, does.
COUNT_UP_TO_BYTES = 512 << 20


@dataclass(frozen=True, kw_only=True)
class SourceFacts:
    """Rows and column names; None where only the cluster can tell."""

    rows: int | None
    columns: tuple[str, ...] | None


def inspect_source(source: Source, folder: Path) -> SourceFacts:
    """Rows and columns of a source, read from headers and metadata; csv rows are counted in one pass.

    Raises:
        SpecError: a file that is missing, empty or ragged; its problems name the data file and line where there is one.
    """
    match source.kind:
        case "sklearn":
            known = SKLEARN_SETS[source.value]
            return SourceFacts(rows=known.rows, columns=known.columns)
        case "inline":
            return _inspect_inline(source)
        case "csv":
            return _inspect_csv(find_files(source.value, folder, suffix=".csv"), folder, count=True)
        case "parquet":
            return _inspect_parquet(find_files(source.value, folder, suffix=".parquet"), folder)
        case _:
            return SourceFacts(rows=None, columns=None)


def source_columns(source: Source, folder: Path) -> tuple[str, ...] | None:
    """The columns alone, without counting the rows of a csv file.

    Raises:
        SpecError: as `inspect_source`.
    """
    if source.kind == "csv":
        return _inspect_csv(find_files(source.value, folder, suffix=".csv"), folder, count=False).columns
    return inspect_source(source, folder).columns


def _inspect_inline(source: Source) -> SourceFacts:
    rows = source.inline
    if isinstance(rows, dict):
        count = len(next(iter(rows.values())))
        if count == 0:
            raise SpecError(Problem(got="columns without rows", expected="at least one row"))
        return SourceFacts(rows=count, columns=tuple(rows))
    assert rows is not None
    columns = tuple(rows[0])
    for index, row in enumerate(rows):
        if set(row) != set(columns):
            got = f"row {index} with {', '.join(row) or 'nothing'}"
            raise SpecError(
                Problem(got=got, expected=f"{', '.join(columns)}, as in row 0", fix="give every row the same columns")
            )
    return SourceFacts(rows=len(rows), columns=columns)


def _inspect_csv(files: list[Path] | None, folder: Path, *, count: bool) -> SourceFacts:
    if files is None:
        return SourceFacts(rows=None, columns=None)
    header = _csv_header(files[0], folder)
    for other in files[1:]:
        _same_columns(other, _csv_header(other, folder), files[0], header, folder)
    columns = (*header, *(name for name in _partitions(files[0], folder) if name not in header))
    if not count or sum(file.stat().st_size for file in files) > COUNT_UP_TO_BYTES:
        return SourceFacts(rows=None, columns=columns)
    return SourceFacts(rows=sum(_count_rows(file, len(header), folder) for file in files), columns=columns)


def _csv_header(file: Path, folder: Path) -> tuple[str, ...]:
    with _open_csv(file, folder) as text:
        header = next((row for row in csv.reader(text) if row), None)
    shown = _shown(file, folder)
    if header is None:
        raise SpecError(Problem(got="an empty file", expected="a header line and rows", file=shown))
    if "" in header:
        got = f"a header whose column {header.index('') + 1} of {len(header)} has no name"
        raise SpecError(Problem(got=got, expected="a name for each column", file=shown, line=1))
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise SpecError(
            Problem(got=f"the column `{twice[0]}` twice", expected="each column name once", file=shown, line=1)
        )
    return tuple(header)


def _count_rows(file: Path, width: int, folder: Path) -> int:
    """Rows after the header; blank lines do not count, line breaks within quotes make no row."""
    with _open_csv(file, folder) as text:
        reader = csv.reader(text)
        rows = -1
        for row in reader:
            if not row:
                continue
            rows += 1
            if len(row) != width:
                raise SpecError(
                    Problem(
                        got=f"a row of {len(row)} values",
                        expected=f"{width}, one for each column of the header",
                        file=_shown(file, folder),
                        line=reader.line_num,
                    )
                )
    return rows


@contextlib.contextmanager
def _open_csv(file: Path, folder: Path) -> Iterator[TextIO]:
    opener: Any = gzip.open if file.suffix == ".gz" else Path.open
    try:
        with opener(file, "rt", encoding="utf-8-sig", newline="") as text:
            yield text
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise SpecError(Problem(got=str(error), expected="a csv file in UTF-8", file=_shown(file, folder))) from None


def _inspect_parquet(files: list[Path] | None, folder: Path) -> SourceFacts:
    """From the files' footers alone; the folders `column=value` on their paths are columns too."""
    if files is None:
        return SourceFacts(rows=None, columns=None)
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        return SourceFacts(rows=None, columns=None)
    rows = 0
    columns: tuple[str, ...] = ()
    for file in files:
        try:
            with ParquetFile(file) as parquet:
                rows += parquet.metadata.num_rows
                names = (*parquet.schema_arrow.names, *_partitions(file, folder))
        except (ArrowException, OSError) as error:
            got = str(error).splitlines()[0]
            raise SpecError(Problem(got=got, expected="a parquet file", file=_shown(file, folder))) from None
        columns = columns or names
        _same_columns(file, names, files[0], columns, folder)
    return SourceFacts(rows=rows, columns=columns)


def _partitions(file: Path, folder: Path) -> tuple[str, ...]:
    parts = file.relative_to(folder).parts if file.is_relative_to(folder) else file.parts
    return tuple(part.partition("=")[0] for part in parts[:-1] if "=" in part)


def _same_columns(file: Path, columns: tuple[str, ...], first: Path, expected: tuple[str, ...], folder: Path) -> None:
    if set(columns) != set(expected):
        raise SpecError(
            Problem(
                got=f"the columns {', '.join(columns)}",
                expected=f"{', '.join(expected)}, as in {_shown(first, folder)}",
                file=_shown(file, folder),
                line=1 if file.suffix != ".parquet" else 0,
            )
        )


def _shown(file: Path, folder: Path) -> str:
    return str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file)
