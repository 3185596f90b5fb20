"""The records of a TFRecord file, without TensorFlow: a length, its checksum, data, its checksum.

The framing is that of https://www.tensorflow.org/tutorials/load_data/tfrecord.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

from raytrain.spec.file_errors import reading

_MASK = 0xA282EAD8


def read_records(stream: BinaryIO, shown: str, *, skim: bool = False) -> Iterator[bytes]:
    """The data of each record of a file; one that ends within a record, or with a wrong checksum, is a SpecError.

    Args:
        stream: the file from its beginning, unpacked.
        shown: its name as the user knows it.
        skim: goes by the lengths alone, over data that it neither reads nor checks; the stream is sought in.
    """
    number = 0
    with reading(shown, "a TFRecord file"):
        while head := stream.read(12):
            number += 1
            if len(head) == 12 and _masked_crc(head[:8]) != head[8:]:
                raise ValueError(f"record {number} with a wrong checksum of its length")
            length, data = int.from_bytes(head[:8], "little"), b""
            if skim:
                stream.seek(length, os.SEEK_CUR)
            else:
                data = stream.read(length)
            checksum = stream.read(4)
            if len(checksum) < 4:
                raise ValueError(f"the end of the file within record {number}")
            if not skim and _masked_crc(data) != checksum:
                raise ValueError(f"record {number} with a wrong checksum")
            yield data


def _masked_crc(data: bytes) -> bytes:
    import google_crc32c

    checksum = google_crc32c.value(data)
    return int.to_bytes(((checksum >> 15 | checksum << 17) + _MASK) & 0xFFFFFFFF, 4, "little")
