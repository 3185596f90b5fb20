"""The text of csv files as readers of plain csv take it: UTF-8, without comments and lines that are to be skipped.

Such lines become empty ones, which no reader counts: so the lines of a file keep their numbers.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from raytrain.spec.csv_source import CsvSource


def plain_text(stream: BinaryIO, form: CsvSource) -> BinaryIO:
    """The stream itself where nothing is to be changed, else one that gives its changed text."""
    return io.BufferedReader(_Rewritten(stream, form)) if form.is_rewritten else stream


class _Rewritten(io.RawIOBase):
    """Reads text in the encoding that the spec names, and gives it line by line."""

    def __init__(self, stream: Any, form: CsvSource) -> None:
        encoding = "utf-8-sig" if codecs.lookup(form.encoding).name == "utf-8" else form.encoding
        self._text = io.TextIOWrapper(stream, encoding, newline="")
        self._lines = self._rewritten(form)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = next(self._lines, b"")
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count

    def close(self) -> None:
        self._text.close()
        super().close()

    def _rewritten(self, form: CsvSource) -> Iterator[bytes]:
        for number, line in enumerate(self._text):
            left_out = number < form.skip or (form.comment is not None and line.startswith(form.comment))
            yield b"\n" if left_out else line.encode()
