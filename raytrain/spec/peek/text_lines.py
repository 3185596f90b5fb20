"""Text in UTF-8, as client and cluster read it in csv, JSON and text files, and its lines."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import BinaryIO, TextIO

from raytrain.spec.file_errors import reading


@contextlib.contextmanager
def decoded(stream: BinaryIO, shown: str, expected: str, *, newline: str | None = None) -> Iterator[TextIO]:
    """The text of a stream, which is closed in the end, without a byte order mark.

    What is damaged or no UTF-8, as it may turn out within, is a SpecError: `shown` is not as `expected`.

    Args:
        newline: as in `open`.
    """
    with reading(shown, f"{expected} in UTF-8"), io.TextIOWrapper(stream, "utf-8-sig", newline=newline) as text:
        yield text


def read_lines(stream: BinaryIO, shown: str) -> Iterator[str]:
    """The lines of a text file, each without its end; what is damaged or no UTF-8 is a SpecError."""
    with decoded(stream, shown, "a text file") as text:
        for line in text:
            yield line.removesuffix("\n")
