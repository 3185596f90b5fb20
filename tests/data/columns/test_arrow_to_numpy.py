from __future__ import annotations

import io
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from raytrain.data.columns.arrow_to_numpy import to_arrays
from raytrain.errors import UserCodeError
from raytrain.spec.column_options import ColumnSpec

ROWS = 9
COUNT = np.arange(ROWS)
TENSOR = np.arange(ROWS * 6).reshape(ROWS, 2, 3)

# Every type that is taken: nine different rows of it, what comes out, and as what.
TAKEN: dict[str, tuple[pa.Array, Any, type]] = {
    **{
        str(kind): (pa.array(COUNT, kind), COUNT, np.int64)
        for kind in (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
    },
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
    "nulls alone": (pa.nulls(2), "column `c`, empty in all of 2 rows"),
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


def test_infinities_stay_what_they_are() -> None:
    array = to_arrays(pa.table({"c": [np.inf, -np.inf]}), ["c"])["c"]
    np.testing.assert_array_equal(array, np.array([np.inf, -np.inf], np.float32))


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1.0, np.nan]),
        pa.array([1.0, None]),
        pa.array([1, None]),
        pa.array([1.0, np.nan], pa.float16()),
        pa.array([Decimal(1), None]),
    ],
    ids=lambda column: str(column.type),
)
def test_nan_is_an_empty_cell_unless_the_spec_allows_it(column: Any) -> None:
    with pytest.raises(UserCodeError, match="1 empty cells"):
        to_arrays(pa.table({"c": column}), ["c"])
    array = told(column, allow_nan=True)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, [1, np.nan])


def test_nan_in_lists_and_tensors_is_one_of_their_empty_elements() -> None:
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(np.array([[1.0, np.nan]]))
    for column in (pa.array([[1.0, np.nan]]), pa.array([[1.0, np.nan]], pa.list_(pa.float32(), 2)), tensor):
        with pytest.raises(UserCodeError, match="1 empty cells"):
            to_arrays(pa.table({"c": column}), ["c"])
        np.testing.assert_array_equal(told(column, allow_nan=True), [[1, np.nan]])


def test_a_missing_column_is_named_with_its_neighbours() -> None:
    with pytest.raises(UserCodeError, match=r"got column `labl`, expected one of x, label; did you mean `label`\?"):
        to_arrays(pa.table({"x": [1], "label": [1]}), ["x", "labl"])


def told(array: Any, **options: Any) -> Any:
    """A column that the spec says something of."""
    return to_arrays(pa.table({"c": array}), ["c"], {"c": ColumnSpec.model_validate(options)})["c"]


NOON = datetime(2024, 1, 1, 12, 0, 0, 500_000)
BEFORE = datetime(1969, 12, 31, 23, 59, 59)
RAGGED = [[1, 2, 3], [], [4]]

# What an option makes of a column: the column, the option, what comes out, and as what.
TOLD: dict[str, tuple[Any, dict[str, Any], Any, type]] = {
    "empty number": ([1, None], {"fill": 7}, [1, 7], np.int64),
    "empty number, filled with a fraction": ([1, None], {"fill": 0.5}, [1, 0.5], np.float32),
    "empty fraction and NaN": ([1.5, None, np.nan], {"fill": 0}, [1.5, 0, 0], np.float32),
    "empty boolean, filled with a number": ([True, False, None], {"fill": -1}, [1, 0, -1], np.float32),
    "empty boolean, filled with a fraction": ([True, None], {"fill": 0.5}, [1, 0.5], np.float32),
    "empty boolean as whole numbers": ([True, None], {"fill": -1, "dtype": "int8"}, [1, -1], np.int8),
    "empty number of 8 bits": (pa.array([1, None], pa.int8()), {"fill": 300}, [1, 300], np.int64),
    "empty number without a sign": (pa.array([1, None], pa.uint8()), {"fill": -1}, [1, -1], np.int64),
    "empty number of 64 bits without a sign": (pa.array([1, None], pa.uint64()), {"fill": -1}, [1, -1], np.int64),
    "empty fraction of 16 bits": (pa.array([1.5, None], pa.float16()), {"fill": 1e6}, [1.5, 1e6], np.float32),
    "empty fraction of 32 bits": (
        pa.array([1.5, None], pa.float32()),
        {"fill": 0.1, "dtype": "float64"},
        [1.5, 0.1],
        np.float64,
    ),
    "empty elements of booleans": ([[True, None]], {"fill": -1}, [[1, -1]], np.float32),
    "empty elements of a fixed size": (
        pa.array([[1, None]], pa.list_(pa.int8(), 2)),
        {"fill": 300},
        [[1, 300]],
        np.int64,
    ),
    "empty boolean": ([True, None], {"fill": False}, [1, 0], np.float32),
    "empty text": (["a", None], {"fill": "none"}, ["a", "none"], np.object_),
    "empty text of csv": (["a", "", None], {"fill": "none"}, ["a", "none", "none"], np.object_),
    "empty whole decimal": (pa.array([Decimal(2**53 + 1), None]), {"fill": 2}, [2**53 + 1, 2], np.int64),
    "whole decimal of any size": (pa.array([Decimal(10**20)]), {"dtype": "float64"}, [1e20], np.float64),
    "large number, filled with a fraction": (
        [2**24 + 1, None],
        {"fill": 0.5, "dtype": "float64"},
        [2**24 + 1, 0.5],
        np.float64,
    ),
    "empty decimal": (pa.array([Decimal("1.5"), None]), {"fill": 2}, [1.5, 2], np.float32),
    "nothing but empty cells": (pa.nulls(2), {"fill": 3}, [3, 3], np.int64),
    "empty in a dictionary": (pa.array(["a", None]).dictionary_encode(), {"fill": "b"}, ["a", "b"], np.object_),
    "empty elements": ([[1, None], [2, 3]], {"fill": 9}, [[1, 9], [2, 3]], np.int64),
    "padded": (RAGGED, {"pad": 4}, [[1, 2, 3, 0], [0] * 4, [4, 0, 0, 0]], np.int64),
    "padded with": (RAGGED, {"pad": 3, "pad_value": -1}, [[1, 2, 3], [-1] * 3, [4, -1, -1]], np.int64),
    "cut": (RAGGED, {"pad": 2, "truncate": True}, [[1, 2], [0, 0], [4, 0]], np.int64),
    "padded fractions": ([[0.5], [1.0, 2.0]], {"pad": 2, "pad_value": 0.25}, [[0.5, 0.25], [1, 2]], np.float32),
    "padded text": ([["a"], ["b", "c"]], {"pad": 2}, [["a", ""], ["b", "c"]], np.object_),
    "padded text with": ([["a"], []], {"pad": 1, "pad_value": "-"}, [["a"], ["-"]], np.object_),
    "padded vectors": (
        pa.array([[[1, 2]], [[3, 4], [5, 6]]], pa.list_(pa.list_(pa.int8(), 2))),
        {"pad": 2},
        [[[1, 2], [0, 0]], [[3, 4], [5, 6]]],
        np.int64,
    ),
    "padded, with empty lists filled": ([[1], None, [None]], {"pad": 2, "fill": 5}, [[1, 0], [0, 0], [5, 0]], np.int64),
    "padded single values": (pa.array([5, None]), {"pad": 2}, [[5, 0], [0, 0]], np.int64),
    "padded single text": (["a", "b"], {"pad": 2, "pad_value": "-"}, [["a", "-"], ["b", "-"]], np.object_),
    "padded fixed_size_list": (pa.array([[1, 2]], pa.list_(pa.int8(), 2)), {"pad": 3}, [[1, 2, 0]], np.int64),
    "days": ([NOON, BEFORE], {"timestamp": "days"}, [19723, -1], np.int64),
    "seconds": ([NOON, BEFORE], {"timestamp": "seconds"}, [1704110400, -1], np.int64),
    "nanoseconds": ([NOON, BEFORE], {"timestamp": "nanoseconds"}, [1704110400500000000, -1000000000], np.int64),
    "days with fractions": ([NOON], {"timestamp": "days", "dtype": "float64"}, [19723 + 43200.5 / 86400], np.float64),
    "nanoseconds in seconds": (
        pa.array([10**9 * 3 + 5], pa.timestamp("ns", "UTC")),
        {"timestamp": "seconds"},
        [3],
        np.int64,
    ),
    "dates": ([date(1970, 1, 3), None], {"timestamp": "hours", "fill": -1}, [48, -1], np.int64),
    "dates of 64 bits": (pa.array([86400_000], pa.date64()), {"timestamp": "minutes"}, [1440], np.int64),
    "duration": (pa.array([90], pa.duration("s")), {"timestamp": "minutes"}, [1], np.int64),
    "time of day": (pa.array([3_600_000], pa.time32("ms")), {"timestamp": "hours"}, [1], np.int64),
    "text of times": (["1970-01-02", "1970-01-01T00:00:05"], {"timestamp": "seconds"}, [86400, 5], np.int64),
    "text with time zones": (
        ["1970-01-02T00:00:00Z", "1970-01-01T02:00:05+02:00", None],
        {"timestamp": "seconds", "fill": 0},
        [86400, 5, 0],
        np.int64,
    ),
    "float64": ([1e300], {"dtype": "float64"}, [1e300], np.float64),
    "float16": ([1.5], {"dtype": "float16"}, [1.5], np.float16),
    "int32": ([1, 2], {"dtype": "int32"}, [1, 2], np.int32),
    "whole fractions": ([1.0, 2.0], {"dtype": "uint8"}, [1, 2], np.uint8),
    "a list of float64": ([[1e300, 1.0]], {"dtype": "float64"}, [[1e300, 1.0]], np.float64),
}


@pytest.mark.parametrize("case", TOLD)
def test_what_the_spec_says_of_a_column(case: str) -> None:
    column, options, values, dtype = TOLD[case]
    array = told(column, **options)
    assert array.dtype == dtype
    assert array.tolist() == values


@pytest.mark.parametrize(
    ("column", "options", "field", "got"),
    [
        ([1, None], {"fill": "a"}, "data.columns.c.fill", "'a' for column `c` of whole numbers"),
        ([2**24 + 1, None], {"fill": 0.5}, "data", "a whole number beyond 16777216 in column `c`, to be float32"),
        (pa.array([Decimal(2**63)]), {"dtype": "int64"}, "data", "a decimal beyond 64 bits in column `c`"),
        (
            ["1970-01-02T00:00:00Z", "1970-01-02"],
            {"timestamp": "days"},
            "data.columns.c.timestamp",
            "text in column `c`",
        ),
        (["a", None], {"fill": 1}, "data.columns.c.fill", "1 for column `c` of text"),
        (RAGGED, {"pad": 2}, "data.columns.c.pad", "a list of 3 elements in column `c`"),
        (
            [date(9999, 12, 31)],
            {"timestamp": "nanoseconds"},
            "data.columns.c.timestamp",
            "a time 2.5e+20 nanoseconds from 1970 in column `c`",
        ),
        (
            pa.array([[1], [1, 2]], pa.list_(pa.uint8())),
            {"pad": 2, "pad_value": -1, "dtype": "uint8"},
            "data.columns.c.pad",
            "-1 to pad uint8 in column `c`",
        ),
        ([[1], [1, 2]], {"pad": 2, "pad_value": float("nan")}, "data.columns.c.pad", "nan to pad int64 in column `c`"),
        ([[1], None], {"pad": 2}, "data", "1 empty cells in column `c`"),
        ([[1], [None]], {"pad": 2}, "data", "1 empty cells in column `c`"),
        (RAGGED, {"pad": 3, "pad_value": 0.5}, "data.columns.c.pad", "0.5 to pad int64 in column `c`"),
        ([["a"]], {"pad": 3, "pad_value": 1}, "data.columns.c.pad", "1 to pad text in column `c`"),
        ([1], {"timestamp": "seconds"}, "data.columns.c.timestamp", "column `c` of type int64"),
        (["x"], {"timestamp": "seconds"}, "data.columns.c.timestamp", "text in column `c`: Failed to parse"),
        ([300], {"dtype": "uint8"}, "data", "numbers from 300 to 300 in column `c`"),
        ([1.5], {"dtype": "int32"}, "data", "numbers from 1.5 to 1.5 in column `c`"),
        ([1e5], {"dtype": "float16"}, "data", "100000 in column `c`"),
        (["a"], {"dtype": "int32"}, "data.columns.c.dtype", "text, for int32"),
    ],
)
def test_what_the_spec_cannot_say_of_a_column(column: Any, options: dict[str, Any], field: str, got: str) -> None:
    with pytest.raises(UserCodeError) as refused:
        told(column, **options)
    [problem] = refused.value.problems
    assert problem.field == field
    assert problem.got.startswith(got)
    assert problem.expected


@given(
    rows=st.lists(st.lists(st.integers(-5, 5), max_size=6), min_size=1, max_size=9),
    length=st.integers(1, 6),
    cut=st.integers(0, 9),
)
def test_padding_is_what_a_loop_over_the_rows_gives(rows: list[list[int]], length: int, cut: int) -> None:
    column = pa.chunked_array([pa.array(rows[:cut], pa.list_(pa.int64())), pa.array(rows[cut:], pa.list_(pa.int64()))])
    expected = [(row + [7] * length)[:length] for row in rows]
    assert told(column, pad=length, pad_value=7, truncate=True).tolist() == expected


def test_columns_that_a_later_step_fills_keep_their_gaps() -> None:
    table = pa.table({"n": [1, None], "b": [True, None], "t": ["a", None], "u": pa.nulls(2)})
    arrays = to_arrays(table, ["n", "b", "t", "u"], may_be_empty={"n", "b", "t", "u"})
    assert [arrays[name].dtype for name in "nbtu"] == [np.float32, np.float32, np.object_, np.float32]
    assert arrays["t"].tolist() == ["a", None]
    np.testing.assert_array_equal(arrays["n"], [1, np.nan])
    np.testing.assert_array_equal(arrays["b"], [1, np.nan])
    assert to_arrays(table.slice(0, 1), ["n"], may_be_empty={"n"})["n"].dtype == np.float32


def test_whole_numbers_that_a_step_would_round_are_refused() -> None:
    table = pa.table({"n": [2**24 + 1, None], "d": pa.array([Decimal(2**24 + 1), Decimal(1)], pa.decimal128(38, 0))})
    for name in "nd":
        with pytest.raises(UserCodeError, match=rf"data\.columns: \{{{name}: \{{dtype: float64\}}\}}"):
            to_arrays(table, [name], may_be_empty={name})
        exact = to_arrays(table, [name], {name: ColumnSpec(dtype="float64")}, may_be_empty={name})[name]
        assert exact[0] == 2**24 + 1
    assert to_arrays(table, ["d"])["d"].tolist() == [2**24 + 1, 1]
    assert to_arrays(table, ["d"])["d"].dtype == np.int64


def test_text_without_a_character_is_empty_where_a_later_step_fills() -> None:
    table = pa.table({"t": ["a", ""]})
    assert to_arrays(table, ["t"], may_be_empty={"t"})["t"].tolist() == ["a", None]
    with pytest.raises(UserCodeError, match=r'1 empty cells in column `t` of text.*fill: ""'):
        to_arrays(table, ["t"])
    assert told(["a", "", None], fill="").tolist() == ["a", "", ""]


def test_lists_that_a_later_step_takes_stay_lists() -> None:
    table = pa.table({"t": [["a", "b"], []], "n": [[1], [2, 3]]})
    arrays = to_arrays(table, ["t", "n"], may_be_ragged={"t", "n"})
    assert arrays["t"].tolist() == [["a", "b"], []]
    assert arrays["n"].tolist() == [[1], [2, 3]]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensors_of_ray_data_itself() -> None:
    blocks = ray_tensors(np.arange(12, dtype=np.float64).reshape(2, 2, 3))
    array = to_arrays(pa.table({"c": blocks}), ["c"])["c"]
    assert array.dtype == np.float32
    assert array.reshape(-1).tolist() == list(range(12))


PICTURE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


def png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    "column",
    [
        pa.array([png(PICTURE), png(PICTURE[:2])]),
        pa.array([png(PICTURE), png(PICTURE[:2])], pa.large_binary()),
        pa.array([{"bytes": png(pixels), "path": "a.png"} for pixels in (PICTURE, PICTURE[:2])]),
    ],
    ids=["bytes", "large bytes", "Hugging Face"],
)
def test_images_in_cells_are_decoded_and_scaled(column: Any) -> None:
    array = told(column, size=[4, 4])
    assert array.shape == (2, 4, 4, 3)
    assert array.dtype == np.uint8
    np.testing.assert_array_equal(array[0], PICTURE)
    assert told(column, size=[2, 3], mode="L").shape == (2, 2, 3, 1)
    assert told(column, size=[2, 3], mode="RGBA").shape == (2, 2, 3, 4)


def test_pixels_of_any_size_are_scaled() -> None:
    ragged = ray_tensors([PICTURE, PICTURE[:2]])
    with pytest.raises(UserCodeError, match=r"if they are images, data.columns: \{c: \{size: \[HEIGHT, WIDTH\]\}\}"):
        to_arrays(pa.table({"c": ragged}), ["c"])
    np.testing.assert_array_equal(told(ragged, size=[4, 4])[0], PICTURE)
    grey = pa.FixedShapeTensorArray.from_numpy_ndarray(PICTURE[None, :, :, :1].copy())
    assert told(grey, size=[4, 4], mode="L")[0, :, :, 0].tolist() == PICTURE[:, :, 0].tolist()


@pytest.mark.parametrize(
    ("cells", "got"), [([b"junk"], "a cell of column `c` that is no image"), ([1], "column `c` of type")]
)
def test_what_is_no_image(cells: list[Any], got: str) -> None:
    with pytest.raises(UserCodeError) as refused:
        told(cells, size=[2, 2])
    assert refused.value.problems[0].field == "data.columns.c.size"
    assert refused.value.problems[0].got.startswith(got)


def ray_tensors(arrays: Any) -> Any:
    from ray.data._internal.tensor_extensions.arrow import ArrowTensorArray, ArrowVariableShapedTensorArray

    if isinstance(arrays, list):
        return ArrowVariableShapedTensorArray.from_numpy(np.array([*arrays, None], dtype=object)[:-1])
    return ArrowTensorArray.from_numpy(arrays)
