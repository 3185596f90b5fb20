"""Decodes TFRecord files of `tf.train.Example`, without TensorFlow: a task need not import it to read a record.

Runs in: Ray Data tasks; the first record of the first file that has one is read in the driver.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO

import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from raytrain.spec.peek.tfrecord_framing import read_records

_RECORDS = 1000
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
            records = read_records(stream, path)
            while block := list(islice(records, _RECORDS)):
                yield _table([_features(record) for record in block], self.lists)


def tfrecord_columns(stream: BinaryIO, path: str) -> tuple[str, ...] | None:
    """The features of the first record; None where there is no record."""
    return next((tuple(_features(record)) for record in read_records(stream, path)), None)


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
    pool = descriptor_pool.DescriptorPool()
    pool.Add(text_format.Parse(_EXAMPLE_PROTO, descriptor_pb2.FileDescriptorProto()))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


_EXAMPLE_PROTO = """
name: "example.proto" package: "tensorflow" syntax: "proto3"
message_type { name: "BytesList" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES } }
message_type { name: "FloatList" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_FLOAT } }
message_type { name: "Int64List" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 } }
message_type { name: "Feature" oneof_decl { name: "kind" }
  field { name: "bytes_list" number: 1 oneof_index: 0 label: LABEL_OPTIONAL type_name: ".tensorflow.BytesList" }
  field { name: "float_list" number: 2 oneof_index: 0 label: LABEL_OPTIONAL type_name: ".tensorflow.FloatList" }
  field { name: "int64_list" number: 3 oneof_index: 0 label: LABEL_OPTIONAL type_name: ".tensorflow.Int64List" } }
message_type { name: "Features"
  field { name: "feature" number: 1 label: LABEL_REPEATED type_name: ".tensorflow.Features.FeatureEntry" }
  nested_type { name: "FeatureEntry" options { map_entry: true }
    field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
    field { name: "value" number: 2 label: LABEL_OPTIONAL type_name: ".tensorflow.Feature" } } }
message_type { name: "Example"
  field { name: "features" number: 1 label: LABEL_OPTIONAL type_name: ".tensorflow.Features" } }
"""
