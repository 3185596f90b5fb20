from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytrain.driver.columns import pack, to_arrays
from raytrain.errors import UserCodeError
from raytrain.spec.data import DataSpec

ROWS = 9
COUNT = np.arange(ROWS)
TENSOR = np.arange(ROWS * 6).reshape(ROWS, 2, 3)

# Every type that is taken: nine different rows of it, what comes out, and as what.
TAKEN: dict[str, tuple[pa.Array, Any, type]] = {
    **{
        str(kind): (pa.array(COUNT, kind), COUNT, np.int64)
        for kind in (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint16(), pa.uint32(), pa.uint64())
    },
    "uint8": (pa.array(COUNT, pa.uint8()), COUNT, np.uint8),
    "float16": (pa.array(COUNT.astype(np.float16) / 2), COUNT / 2, np.float32),
    "float32": (pa.array(COUNT / 4, pa.float32()), COUNT / 4, np.float32),
    "float64": (pa.array(COUNT / 4), COUNT / 4, np.float32),
    "bool": (pa.array(COUNT % 2 == 0), COUNT % 2 == 0, np.float32),
    **{
        str(kind): (pa.array([Decimal(n) / 4 for n in range(ROWS)], kind), COUNT / 4, np.float32)
        for kind in (pa.decimal128(5, 2), pa.decimal256(5, 2))
    },
    **{
        str(kind): (pa.array([f"é{n}" for n in range(ROWS)], kind), [f"é{n}" for n in range(ROWS)], np.object_)
        for kind in (pa.string(), pa.large_string(), pa.string_view())
    },
    "dictionary of text": (
        pa.array([f"é{n % 4}" for n in range(ROWS)]).dictionary_encode(),
        [f"é{n % 4}" for n in range(ROWS)],
        np.object_,
    ),
    "dictionary of numbers": (pa.array(COUNT % 4).dictionary_encode(), COUNT % 4, np.int64),
    "list": (pa.array(TENSOR[:, 0].tolist()), TENSOR[:, 0], np.int64),
    "list of float64": (pa.array((TENSOR[:, 0] / 2).tolist()), TENSOR[:, 0] / 2, np.float32),
    "list of bool": (pa.array((TENSOR[:, 0] % 2 == 0).tolist()), TENSOR[:, 0] % 2 == 0, np.float32),
    "list of uint8": (pa.array(TENSOR[:, 0].tolist(), pa.list_(pa.uint8())), TENSOR[:, 0], np.uint8),
    "large_list": (pa.array(TENSOR[:, 0].tolist(), pa.large_list(pa.int16())), TENSOR[:, 0], np.int64),
    "list of no elements": (pa.array([[]] * ROWS, pa.list_(pa.int32())), np.zeros((ROWS, 0)), np.int64),
    "list of list": (pa.array(TENSOR.tolist()), TENSOR, np.int64),
    "list of list of list": (
        pa.array(TENSOR.reshape(ROWS, 1, 3, 2).tolist()),
        TENSOR.reshape(ROWS, 1, 3, 2),
        np.int64,
    ),
    "large_list of list": (pa.array(TENSOR.tolist(), pa.large_list(pa.list_(pa.int64()))), TENSOR, np.int64),
    "fixed_size_list": (pa.array(TENSOR[:, 0].tolist(), pa.list_(pa.int32(), 3)), TENSOR[:, 0], np.int64),
    "list of fixed_size_list": (pa.array(TENSOR.tolist(), pa.list_(pa.list_(pa.int32(), 3))), TENSOR, np.int64),
    "fixed_size_list of list": (pa.array(TENSOR.tolist(), pa.list_(pa.list_(pa.int32()), 2)), TENSOR, np.int64),
    "fixed_size_list twice": (pa.array(TENSOR.tolist(), pa.list_(pa.list_(pa.float64(), 3), 2)), TENSOR, np.float32),
    "tensor": (pa.FixedShapeTensorArray.from_numpy_ndarray(TENSOR), TENSOR, np.int64),
    "tensor of uint8": (pa.FixedShapeTensorArray.from_numpy_ndarray(TENSOR.astype(np.uint8)), TENSOR, np.uint8),
}


def every_cut(column: pa.Array) -> dict[str, tuple[pa.Table, slice]]:
    """The same column as tables that lie differently in memory, with the rows each of them holds."""
    whole = pa.table({"c": column})
    parts = pa.concat_tables([whole.slice(0, 3), whole.slice(3, 1), whole.slice(4, 0), whole.slice(4)])
    copies = [pa.concat_arrays([column.slice(0, 1), column.slice(1, 4)]), pa.concat_arrays([column[5:6], column[6:]])]
    copied = pa.table({"c": pa.chunked_array(copies)})
    return {
        "whole": (whole, slice(None)),
        "slice": (whole.slice(3, 5), slice(3, 8)),
        "slice of a slice": (whole.slice(1).slice(2, 3), slice(3, 6)),
        "tail": (whole.slice(ROWS - 1), slice(ROWS - 1, None)),
        "chunks that share a buffer": (parts, slice(None)),
        "slice over chunks": (parts.slice(2, 5), slice(2, 7)),
        "chunks of their own": (copied, slice(None)),
        "slice over chunks of their own": (copied.slice(4, 3), slice(4, 7)),
    }


@pytest.mark.parametrize("cut", every_cut(pa.array(COUNT)))
@pytest.mark.parametrize("kind", TAKEN)
def test_the_rows_of_every_type_come_out_as_they_went_in(kind: str, cut: str) -> None:
    column, values, dtype = TAKEN[kind]
    table, rows = every_cut(column)[cut]
    array = to_arrays(table, ["c"])["c"]
    expected = np.asarray(values)[rows]
    assert array.dtype == dtype
    assert array.shape == expected.shape
    np.testing.assert_array_equal(array, expected.astype(dtype))


@settings(deadline=None)
@given(
    rows=st.lists(st.lists(st.integers(-5, 5), min_size=4, max_size=4), min_size=1, max_size=12),
    kind=st.sampled_from([pa.list_(pa.int16()), pa.large_list(pa.int16()), pa.list_(pa.int16(), 4)]),
    data=st.data(),
)
def test_any_slice_of_any_chunks_holds_its_own_rows(rows: list[list[int]], kind: pa.DataType, data: Any) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    bounds = zip([0, *cuts], [*cuts, len(rows)], strict=True)
    chunked = pa.chunked_array([pa.array(rows[start:stop], kind) for start, stop in bounds], kind)
    start = data.draw(st.integers(0, len(rows) - 1))
    length = data.draw(st.integers(1, len(rows) - start))
    array = to_arrays(pa.table({"c": chunked}).slice(start, length), ["c"])["c"]
    assert array.tolist() == rows[start : start + length]


def test_dictionaries_that_differ_between_chunks_are_each_read_by_their_own() -> None:
    chunks = [pa.array(["a", "b"]).dictionary_encode(), pa.array(["c", "b"]).dictionary_encode()]
    array = to_arrays(pa.table({"c": pa.chunked_array(chunks)}), ["c"])["c"]
    assert array.tolist() == ["a", "b", "c", "b"]


def test_a_tensor_that_lies_transposed_in_memory_has_its_logical_shape() -> None:
    kind = pa.fixed_shape_tensor(pa.int32(), (2, 3), permutation=[1, 0])
    storage = pa.array([[1, 2, 3, 4, 5, 6]], pa.list_(pa.int32(), 6))
    column = pa.ExtensionArray.from_storage(kind, storage)
    array = to_arrays(pa.table({"c": column}), ["c"])["c"]
    assert array.tolist() == [[[1, 4], [2, 5], [3, 6]]]


def test_values_that_no_row_owns_do_not_shift_the_rows() -> None:
    column = pa.ListArray.from_arrays(pa.array([2, 4, 6]), pa.array([9, 9, 1, 2, 3, 4, 9]))
    assert to_arrays(pa.table({"c": column}), ["c"])["c"].tolist() == [[1, 2], [3, 4]]


REFUSED: dict[str, tuple[pa.Array, str]] = {
    "null": (pa.array([1, None]), "1 empty cells in column `c`"),
    "null in text": (pa.array(["a", None]), "1 empty cells"),
    "nulls alone": (pa.nulls(2), "2 empty cells"),
    "null in a dictionary's index": (pa.array(["a", None]).dictionary_encode(), "1 empty cells"),
    "null in a dictionary's values": (
        pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", None])),
        "1 empty cells",
    ),
    "null in a list": (pa.array([[1, 2], [3, None]]), "1 empty cells"),
    "null in a list of floats": (pa.array([[1.0, None], [3.0, None]]), "2 empty cells"),
    "null in a fixed_size_list": (pa.array([[1, 2], [3, None]], pa.list_(pa.int32(), 2)), "1 empty cells"),
    "a null list": (pa.array([[1, 2], None]), "1 empty cells"),
    "a null list within a list": (pa.array([[[1], [2]], [[3], None]]), "1 empty cells"),
    "null in a tensor": (
        pa.ExtensionArray.from_storage(
            pa.fixed_shape_tensor(pa.int32(), (2,)), pa.array([[1, 2], [3, None]], pa.list_(pa.int32(), 2))
        ),
        "1 empty cells",
    ),
    "tensor of text": (
        pa.ExtensionArray.from_storage(
            pa.fixed_shape_tensor(pa.string(), (1,)), pa.array([["a"], ["b"]], pa.list_(pa.string(), 1))
        ),
        "fixed_shape_tensor[value_type=string",
    ),
    "ragged": (pa.array([[1], [1, 2, 3]]), "lists of 1 to 3 elements"),
    "ragged within": (pa.array([[[1], [2]], [[3], [4, 5]]]), "lists of 1 to 2 elements"),
    "timestamp": (pa.array([0, 1], pa.timestamp("s")), "of type timestamp[s]"),
    "date": (pa.array([0, 1], pa.date32()), "of type date32"),
    "duration": (pa.array([0, 1], pa.duration("s")), "of type duration[s]"),
    "binary": (pa.array([b"a", b"b"]), "of type binary"),
    "struct": (pa.array([{"a": 1}, {"a": 2}]), "of type struct<a: int64>"),
    "map": (pa.array([[("a", 1)], [("b", 2)]], pa.map_(pa.string(), pa.int64())), "of type map"),
    "list of text": (pa.array([["a"], ["b"]]), "of type list<item: string>"),
    "list of timestamps": (pa.array([[0], [1]], pa.list_(pa.timestamp("s"))), "of type list<item: timestamp[s]>"),
    "above int64": (pa.array([1, 2**63], pa.uint64()), "9223372036854775808 in column `c`"),
    "above float32": (pa.array([1.0, 1e300]), "1e+300 in column `c`"),
    "above float32 in a list": (pa.array([[1.0], [-1e300]]), "1e+300 in column `c`"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_keras_cannot_be_fed_is_refused_with_column_type_and_a_way_out(kind: str) -> None:
    column, got = REFUSED[kind]
    with pytest.raises(UserCodeError) as refused:
        to_arrays(pa.table({"c": column}), ["c"])
    [problem] = refused.value.problems
    assert got in problem.got
    assert problem.expected
    assert problem.fix or "float32" in problem.expected or "2**63" in problem.expected


def test_an_empty_cell_outside_of_a_slice_does_no_harm() -> None:
    table = pa.table({"c": [None, 1, 2], "d": [[1, None], [1, 2], [3, 4]]}).slice(1)
    arrays = to_arrays(table, ["c", "d"])
    assert arrays["c"].tolist() == [1, 2]
    assert arrays["d"].tolist() == [[1, 2], [3, 4]]


def test_infinities_and_nan_stay_what_they_are() -> None:
    array = to_arrays(pa.table({"c": [np.inf, -np.inf, np.nan]}), ["c"])["c"]
    np.testing.assert_array_equal(array, np.array([np.inf, -np.inf, np.nan], np.float32))


def test_a_missing_column_is_named_with_its_neighbours() -> None:
    with pytest.raises(UserCodeError, match=r"got column `labl`, expected one of x, label; did you mean `label`\?"):
        to_arrays(pa.table({"x": [1], "label": [1]}), ["x", "labl"])


COLUMNS: dict[str, Any] = {
    "a": np.array([1.0, 2.0], np.float32),
    "b": np.array([[3, 4], [5, 6]]),
    "t": np.array(["x", "y"], dtype=object),
    "y": np.array([0, 1]),
    "w": np.array([1, 2]),
}


def data_spec(**fields: Any) -> DataSpec:
    return DataSpec.model_validate({"train": {"inline": {"a": [1.0]}}, **fields})


def as_lists(packed: Any) -> Any:
    if isinstance(packed, tuple):
        return tuple(as_lists(part) for part in packed)
    if isinstance(packed, dict):
        return {name: as_lists(part) for name, part in packed.items()}
    return packed.tolist()


@pytest.mark.parametrize(
    ("fields", "packed"),
    [
        ({"features": "a"}, ([1.0, 2.0],)),
        ({"features": ["a"]}, ([[1.0], [2.0]],)),
        ({"features": ["b", "a"]}, ([[3.0, 4.0, 1.0], [5.0, 6.0, 2.0]],)),
        ({"features": {"in": "t"}}, ({"in": ["x", "y"]},)),
        ({"features": {"p": "a", "q": ["b", "y"]}}, ({"p": [1.0, 2.0], "q": [[3, 4, 0], [5, 6, 1]]},)),
        ({"features": "a", "label": "y"}, ([1.0, 2.0], [0, 1])),
        ({"features": "a", "label": {"out": "y", "too": "b"}}, ([1.0, 2.0], {"out": [0, 1], "too": [[3, 4], [5, 6]]})),
        ({"features": "a", "label": "y", "weight": "w"}, ([1.0, 2.0], [0, 1], [1.0, 2.0])),
    ],
)
def test_columns_are_packed_as_the_spec_names_them(fields: dict[str, Any], packed: Any) -> None:
    assert as_lists(pack(COLUMNS, data_spec(**fields))) == packed


def test_weights_are_float32() -> None:
    assert pack(COLUMNS, data_spec(features="a", label="y", weight="w"))[2].dtype == np.float32


def test_text_among_columns_that_form_one_input_is_refused() -> None:
    with pytest.raises(UserCodeError, match=r"text column `t` .* features: \{t: t, …\}"):
        pack(COLUMNS, data_spec(features=["a", "t"]))
