"""What headers tell of binary files, read here without numpy or TensorFlow: .npy, .npz, TFRecord, parquet, images."""

from __future__ import annotations

import ast
import math
import re
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from raytrain.errors import Problem, SpecError
from raytrain.spec.file_errors import reading
from raytrain.spec.peek.named_files import shown_path

_DTYPE = re.compile(r"[<>|=]?([a-zA-Z])(\d+)(\[.*\])?")
_MAGIC = b"\x93NUMPY"


@dataclass(frozen=True, kw_only=True)
class ArrayHeader:
    """The shape of an array and its bytes; None for types that are made of several."""

    shape: tuple[int, ...]
    bytes: int | None


def array_headers(file: Path, folder: Path) -> dict[str, ArrayHeader]:
    """The arrays of a .npz by name, or of a .npy as `data`.

    Raises:
        SpecError: no numpy file, a file cut short, or arrays of different numbers of rows.
    """
    with reading(shown_path(file, folder), "a .npy or .npz file of rows"):
        with file.open("rb") as opened:
            if opened.read(4) == b"PK\x03\x04":
                headers = _archived(opened)
            else:
                opened.seek(0)
                headers = {"data": _header(opened)}
                _check_length(headers["data"], file.stat().st_size - opened.tell())
        rows = {name: header.shape[0] for name, header in headers.items()}
        if len(set(rows.values())) > 1:
            raise ValueError(f"arrays of different numbers of rows, {', '.join(f'{k}: {v}' for k, v in rows.items())}")
    return headers


def _archived(opened: IO[bytes]) -> dict[str, ArrayHeader]:
    headers = {}
    with zipfile.ZipFile(opened) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                headers[name.removesuffix(".npy")] = _header(member)
    return headers


def _header(opened: IO[bytes]) -> ArrayHeader:
    start = opened.read(8)
    if start[:6] != _MAGIC:
        raise ValueError("no array of numpy")
    length = struct.unpack("<H", opened.read(2))[0] if start[6] == 1 else struct.unpack("<I", opened.read(4))[0]
    header = ast.literal_eval(opened.read(length).decode("latin1"))
    if not isinstance(header, dict) or not isinstance(header.get("shape"), tuple) or "descr" not in header:
        raise ValueError("a header without shape and type")
    shape, dtype = header["shape"], header["descr"]
    if not all(isinstance(size, int) for size in shape):
        raise ValueError(f"the shape {shape}")
    if not shape:
        raise ValueError("a single value, which has no rows")
    if not isinstance(dtype, str):
        return ArrayHeader(shape=shape, bytes=None)
    if "O" in dtype:
        raise ValueError("an array of Python objects, which is not loaded: it can run code")
    match = _DTYPE.fullmatch(dtype)
    if match is None:
        return ArrayHeader(shape=shape, bytes=None)
    item = int(match[2]) * (4 if match[1] == "U" else 1)
    return ArrayHeader(shape=shape, bytes=item * math.prod(shape))


def _check_length(header: ArrayHeader, found: int) -> None:
    if header.bytes is not None and found < header.bytes:
        raise ValueError(f"{found} bytes of data where the header tells of {header.bytes}: the file is cut short")


def count_records(file: Path, folder: Path) -> int:
    """The records of a TFRecord file, from their lengths alone.

    Raises:
        SpecError: the file ends within a record.
    """
    place, rows = 0, 0
    with reading(shown_path(file, folder), "a TFRecord file"), file.open("rb") as opened:
        size = file.stat().st_size
        while place < size:
            opened.seek(place)
            head = opened.read(12)
            length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else size
            place += 16 + length
            rows += 1
    if place > size:
        got = f"the end of the file within record {rows}"
        raise SpecError(Problem(got=got, expected="a TFRecord file", file=shown_path(file, folder)))
    return rows


def image_size(file: Path, folder: Path) -> tuple[int, int] | None:
    """Height and width; None where Pillow is not installed.

    Raises:
        SpecError: the file is no image.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        return None
    with reading(shown_path(file, folder), "an image file", Image.DecompressionBombError):
        try:
            with Image.open(file) as image:
                return image.height, image.width
        except UnidentifiedImageError:
            raise ValueError("no image") from None


def parquet_footer(file: Path, folder: Path) -> tuple[int, int, Any] | None:
    """Rows, bytes unpacked and the schema of a file; None where pyarrow is not installed.

    Raises:
        SpecError: the file is no parquet.
    """
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        return None
    with reading(shown_path(file, folder), "a parquet file", ArrowException), ParquetFile(file) as parquet:
        metadata = parquet.metadata
        size = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
        return metadata.num_rows, size, parquet.schema_arrow
