"""Decodes TFRecord files of `tf.train.Example`, without TensorFlow: a task need not import it to read a record.

Runs in: Ray Data tasks; the first record of the first file is read in the driver.

The framing is that of https://www.tensorflow.org/tutorials/load_data/tfrecord: a length, its checksum, data, its
checksum.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import google_crc32c
import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_RECORDS = 1000
_MASK = 0xA282EAD8
_TYPES = {"bytes_list": pa.binary(), "float_list": pa.float32(), "int64_list": pa.int64()}


@dataclass(frozen=True)
class DecodeTfrecords:
    """A column for each feature: single values where every record of a block has one at most, else lists.

    Attributes:
        lists: the features that are lists in any case: nothing in a record tells one value from a list of one.
    """

    lists: frozenset[str] = frozenset()

    def __call__(self, filesystem: Any, path: str) -> Iterator[pa.Table]:
        with filesystem.open_input_stream(path) as stream:
            records = _records(stream)
            while block := list(islice(records, _RECORDS)):
                yield _table([_features(record) for record in block], self.lists)


def tfrecord_columns(filesystem: Any, path: str) -> list[str]:
    with filesystem.open_input_stream(path) as stream:
        return next((list(_features(record)) for record in _records(stream)), [])


def _records(stream: Any) -> Iterator[bytes]:
    count = 0
    while head := stream.read(12):
        where = f"record {count + 1}"
        if len(head) < 12:
            raise ValueError(f"the end of the file within {where}")
        length, checksum = struct.unpack("<QI", head)
        if _masked(head[:8]) != checksum:
            raise ValueError(f"{where} with a wrong checksum of its length")
        data, tail = stream.read(length), stream.read(4)
        if len(data) < length or len(tail) < 4:
            raise ValueError(f"the end of the file within {where}")
        if _masked(data) != struct.unpack("<I", tail)[0]:
            raise ValueError(f"{where} with a wrong checksum")
        yield data
        count += 1


def _masked(data: bytes) -> int:
    checksum = google_crc32c.value(data)
    return int(((checksum >> 15 | checksum << 17) + _MASK) & 0xFFFFFFFF)


def _features(record: bytes) -> dict[str, Any]:
    """The features of an Example as its lists of values."""
    example = _example_class()()
    example.ParseFromString(record)
    return dict(sorted(example.features.feature.items()))


def _table(rows: list[dict[str, Any]], lists: frozenset[str]) -> pa.Table:
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: _column([row.get(name) for row in rows], name, is_list=name in lists) for name in names})


def _column(features: list[Any], name: str, *, is_list: bool) -> pa.Array:
    kinds = {kind for feature in features if feature is not None and (kind := feature.WhichOneof("kind"))}
    if len(kinds) > 1:
        raise ValueError(f"the feature `{name}` with values of several types: {', '.join(sorted(kinds))}")
    if not kinds:
        return pa.nulls(len(features))
    kind = kinds.pop()
    values = [None if feature is None else list(getattr(feature, kind).value) for feature in features]
    if not is_list and all(row is None or len(row) <= 1 for row in values):
        return _text(pa.array([row[0] if row else None for row in values], _TYPES[kind]))
    return _text(pa.array(values, pa.list_(_TYPES[kind])))


def _text(column: pa.Array) -> pa.Array:
    """Bytes that are UTF-8 are text, as a record has no other way to say it."""
    texts = {pa.binary(): pa.string(), pa.list_(pa.binary()): pa.list_(pa.string())}
    if column.type not in texts:
        return column
    try:
        return column.cast(texts[column.type])
    except pa.ArrowInvalid:
        return column


@functools.cache
def _example_class() -> Any:
    """The message class of tensorflow/core/example/example.proto, made here in a pool of its own."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="tensorflow", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto
    for name, kind in (
        ("BytesList", field.TYPE_BYTES),
        ("FloatList", field.TYPE_FLOAT),
        ("Int64List", field.TYPE_INT64),
    ):
        message = file.message_type.add(name=name)
        message.field.add(name="value", number=1, type=kind, label=field.LABEL_REPEATED)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, kind) in enumerate(
        (("bytes_list", "BytesList"), ("float_list", "FloatList"), ("int64_list", "Int64List")), start=1
    ):
        feature.field.add(
            name=name, number=number, type=field.TYPE_MESSAGE, type_name=f".tensorflow.{kind}",
            label=field.LABEL_OPTIONAL, oneof_index=0,
        )  # fmt: skip
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    entry.field.add(
        name="value", number=2, type=field.TYPE_MESSAGE, type_name=".tensorflow.Feature", label=field.LABEL_OPTIONAL
    )
    features.field.add(
        name="feature", number=1, type=field.TYPE_MESSAGE, type_name=".tensorflow.Features.FeatureEntry",
        label=field.LABEL_REPEATED,
    )  # fmt: skip
    example = file.message_type.add(name="Example")
    example.field.add(
        name="features", number=1, type=field.TYPE_MESSAGE, type_name=".tensorflow.Features", label=field.LABEL_OPTIONAL
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))
