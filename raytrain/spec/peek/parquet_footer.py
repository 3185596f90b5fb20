"""What the end of a parquet file tells of it. LIGHT: pyarrow is imported when a footer is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, BinaryIO

from raytrain.spec.file_errors import reading


@dataclass(frozen=True, kw_only=True)
class Footer:
    """The rows of a file, the bytes of its columns unpacked, and their types, a `pyarrow.Schema`."""

    rows: int
    bytes: int
    schema: Any


def read_footer(stream: BinaryIO, shown: str) -> Footer:
    """The footer; what is no parquet is a SpecError."""
    from pyarrow import ArrowException
    from pyarrow.parquet import read_metadata

    with reading(shown, "a parquet file", ArrowException):
        metadata = read_metadata(stream)
        size = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
        return Footer(rows=metadata.num_rows, bytes=size, schema=metadata.schema.to_arrow_schema())
