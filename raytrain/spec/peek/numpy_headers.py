"""The headers of numpy files: the shapes, types and places of the arrays of a .npy or .npz.

LIGHT: numpy is imported when a header is read. A `stream` is a file that can be sought in, `shown` its name as the user
knows it; whatever is refused is a SpecError.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from tokenize import TokenError
from typing import IO, Any, BinaryIO

from raytrain.errors import Problem, SpecError
from raytrain.spec.file_errors import reading
from raytrain.spec.peek.unify_schemas import check_same_columns


@dataclass(frozen=True, kw_only=True)
class ArrayHeader:
    """What precedes an array's data.

    Attributes:
        shape: (rows, …)
        fortran_order: whether the first index changes fastest.
        dtype: numpy's.
        start: where in the file the data begins.
    """

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: Any
    start: int

    @property
    def row_bytes(self) -> int:
        return int(self.dtype.itemsize * math.prod(self.shape[1:]))

    @property
    def bytes(self) -> int:
        return self.shape[0] * self.row_bytes


def array_headers(stream: BinaryIO, shown: str) -> dict[str, ArrayHeader]:
    """The arrays of a .npz by name, or of a .npy as `data`, each with as many rows."""
    with reading(shown, "a .npy or .npz file of rows", TokenError):
        headers = _archived(stream) if is_archive(stream) else {"data": _whole(stream)}
    check_same_rows(headers, shown)
    return headers


def column_header(stream: BinaryIO, shown: str, name: str) -> ArrayHeader:
    """The array of a .npy that is the column `name`; a .npz is refused."""
    headers = array_headers(stream, shown)
    if is_archive(stream):
        got = f"an archive of {', '.join(headers) or 'no arrays'} for the column `{name}`"
        fix = f"numpy: {shown} makes a column of each of its arrays"
        raise SpecError(Problem(got=got, expected="a .npy file, of one array", fix=fix, file=shown))
    return headers["data"]


def is_archive(stream: BinaryIO) -> bool:
    """Whether a file is a .npz, whatever its name; the stream stands at its beginning afterwards."""
    stream.seek(0)
    start = stream.read(4)
    stream.seek(0)
    return start == b"PK\x03\x04"


def check_same_rows(headers: Mapping[str, ArrayHeader], shown: str = "") -> None:
    """Refuses columns of different lengths."""
    rows = {name: header.shape[0] for name, header in headers.items()}
    if len(set(rows.values())) > 1:
        got = f"different numbers of rows, {', '.join(f'{name}: {count}' for name, count in rows.items())}"
        raise SpecError(Problem(got=got, expected="as many rows in each column", file=shown))


def check_same_arrays(
    headers: Mapping[str, ArrayHeader], shown: str, wanted: Mapping[str, ArrayHeader], first: str
) -> None:
    """Refuses a file whose rows are of other shapes, or of several values of another type, than the `first` file's."""
    check_same_columns(list(headers), shown, list(wanted), first)
    for name, own in headers.items():
        shape, dtype = wanted[name].shape[1:], wanted[name].dtype
        if own.shape[1:] != shape or (shape and own.dtype != dtype):
            got = f"rows of shape {own.shape[1:]} and type {own.dtype} in `{name}`"
            raise SpecError(Problem(got=got, expected=f"{shape} and {dtype}, as in {first}", file=shown))


def _archived(stream: BinaryIO) -> dict[str, ArrayHeader]:
    headers = {}
    with zipfile.ZipFile(stream) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                headers[name.removesuffix(".npy")] = _header(member)
    return headers


def _whole(stream: BinaryIO) -> ArrayHeader:
    header = _header(stream)
    found = stream.seek(0, os.SEEK_END) - header.start
    if found < header.bytes:
        raise ValueError(f"{found} bytes of data where the header tells of {header.bytes}: the file is cut short")
    return header


def _header(stream: IO[bytes]) -> ArrayHeader:
    from numpy.lib import format as npy

    read = {(1, 0): npy.read_array_header_1_0}.get(npy.read_magic(stream), npy.read_array_header_2_0)
    shape, fortran_order, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("an array of Python objects, which is not loaded: it can run code")
    if not shape:
        raise ValueError("a single value, which has no rows")
    return ArrayHeader(shape=shape, fortran_order=fortran_order, dtype=dtype, start=stream.tell())
