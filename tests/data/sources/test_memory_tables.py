"""What becomes a table without a cluster; reading through Ray Data is tested in `test_reading`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.fs
import pytest
from sklearn import datasets

from raytrain.data.columns.arrow_to_numpy import to_arrays
from raytrain.data.sources.json_lines import decode_json, json_schema
from raytrain.data.sources.memory_tables import inline_table, sklearn_table, table_of_arrays
from raytrain.data.sources.user_rows import as_rows
from raytrain.errors import UserCodeError
from raytrain.spec.peek.sklearn_sets import SKLEARN_SETS


class Elements:
    """Stands for a tf.data.Dataset, of which only this is used."""

    def __init__(self, *elements: Any) -> None:
        self._elements = elements

    def as_numpy_iterator(self) -> Any:
        return iter(self._elements)


def read(value: Any) -> dict[str, Any]:
    table = as_rows(value, "data.py:load", "data.train.python")
    return {name: array.tolist() for name, array in to_arrays(table, table.column_names).items()}


@pytest.mark.parametrize("name", SKLEARN_SETS)
def test_a_set_of_scikit_learn_has_the_rows_and_columns_that_the_client_was_promised(name: str) -> None:
    facts = SKLEARN_SETS[name]
    table = sklearn_table(name)
    loaded = getattr(datasets, f"load_{name}")()
    assert table.num_rows == facts.rows
    assert sorted(table.column_names) == sorted(facts.columns)
    arrays = to_arrays(table, table.column_names)
    np.testing.assert_array_equal(arrays["features"], loaded.data.astype(np.float32))
    np.testing.assert_array_equal(arrays["target"], loaded.target.astype(arrays["target"].dtype))
    assert facts.features == tuple(loaded.feature_names)
    for index, feature in enumerate(facts.features):
        np.testing.assert_array_equal(arrays[feature], loaded.data[:, index].astype(np.float32))
    for index, target in enumerate(facts.targets):
        assert target == loaded.target_names[index]
        np.testing.assert_array_equal(arrays[target], loaded.target[:, index].astype(np.float32))


def test_classes_stay_whole_numbers() -> None:
    assert to_arrays(sklearn_table("digits"), ["digit"])["digit"].dtype == np.int64


@pytest.mark.parametrize(
    ("value", "columns"),
    [
        ([{"x": 1, "y": 0.5}, {"x": 2, "y": 1.5}], {"x": [1, 2], "y": [0.5, 1.5]}),
        ({"x": [1, 2.5]}, {"x": [1.0, 2.5]}),
        ({"x": [[1, 2], [3, 4]], "t": ["a", "b"]}, {"x": [[1, 2], [3, 4]], "t": ["a", "b"]}),
        ({"x": [True, False]}, {"x": [1.0, 0.0]}),
    ],
)
def test_inline_rows_and_columns_are_a_table(value: Any, columns: dict[str, Any]) -> None:
    table = inline_table(value, "data.train.inline")
    assert {name: array.tolist() for name, array in to_arrays(table, table.column_names).items()} == columns


@pytest.mark.parametrize("value", [{"x": [1, "a"]}, [{"x": 1}, {"x": "a"}], {"x": [1, [2]]}, {"x": [2**70]}])
def test_inline_values_of_several_types_in_a_column_are_refused(value: Any) -> None:
    with pytest.raises(UserCodeError, match=r"data.train.inline: got rows that do not fit together"):
        inline_table(value, "data.train.inline")


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(np.arange(5), id="vector"),
        pytest.param(np.arange(5)[::-1], id="reversed"),
        pytest.param(np.arange(9.0)[::4], id="strided"),
        pytest.param(np.arange(24).reshape(4, 3, 2), id="tensor"),
        pytest.param(np.arange(6).reshape(3, 2)[0][None], id="one row"),
        pytest.param(np.asfortranarray(np.arange(12).reshape(4, 3)), id="columns first in memory"),
        pytest.param(np.arange(12).reshape(4, 3)[:, ::2], id="every second element"),
        pytest.param(np.arange(12).reshape(4, 3)[1:3], id="rows in the middle"),
        pytest.param(np.array([[True, False], [False, False]]), id="booleans"),
        pytest.param(np.arange(6, dtype=np.float16).reshape(3, 2), id="float16"),
        pytest.param(np.arange(6, dtype=">f4").reshape(3, 2), id="the other byte order"),
        pytest.param(np.arange(3, dtype=">i8"), id="the other byte order, vector"),
        pytest.param(np.arange(6, dtype=np.uint8).reshape(3, 2), id="uint8"),
        pytest.param(np.array(["a", "bc"]), id="text"),
        pytest.param(np.array(["a", "bc"], dtype=object), id="text as objects"),
    ],
)
def test_arrays_survive_their_way_into_a_table_and_out(array: Any) -> None:
    out = to_arrays(table_of_arrays({"x": array}), ["x"])["x"]
    assert out.shape == array.shape
    assert out.tolist() == array.tolist()


FRAME = pd.DataFrame({"x": [1, 2], "t": pd.Categorical(["b", "a"]), 3: [[1.0, 2.0], [3.0, 4.0]]}, index=[7, 8])
IMAGES = np.arange(8).reshape(2, 2, 2)


@pytest.mark.parametrize(
    ("value", "columns"),
    [
        pytest.param({"x": np.array([1, 2]), "t": ["a", "b"]}, {"x": [1, 2], "t": ["a", "b"]}, id="dict"),
        pytest.param({"x": IMAGES}, {"x": IMAGES.tolist()}, id="dict of tensors"),
        pytest.param({"x": pd.Series([1, 2], index=[5, 6])}, {"x": [1, 2]}, id="dict of series"),
        pytest.param(FRAME, {"x": [1, 2], "t": ["b", "a"], "3": [[1, 2], [3, 4]]}, id="frame"),
        pytest.param(FRAME[FRAME["x"] > 1], {"x": [2], "t": ["a"], "3": [[3, 4]]}, id="rows of a frame"),
        pytest.param(pa.table({"x": [1, 2]}), {"x": [1, 2]}, id="table"),
        pytest.param([{"x": 1, "t": "a"}, {"t": "b", "x": 2}], {"x": [1, 2], "t": ["a", "b"]}, id="rows"),
        pytest.param([{"x": image} for image in IMAGES], {"x": IMAGES.tolist()}, id="rows with arrays"),
        pytest.param([{"x": np.float32(0.5)}, {"x": np.float32(1)}], {"x": [0.5, 1.0]}, id="rows with numpy numbers"),
        pytest.param(Elements({"x": np.int64(1)}, {"x": np.int64(2)}), {"x": [1, 2]}, id="tf.data"),
        pytest.param(
            Elements({"x": IMAGES[0], "t": b"\xc3\xa9"}, {"x": IMAGES[1], "t": b"b"}),
            {"x": IMAGES.tolist(), "t": ["é", "b"]},
            id="tf.data with images and text",
        ),
    ],
)
def test_what_a_function_may_return(value: Any, columns: dict[str, Any]) -> None:
    assert read(value) == columns


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\0"


@pytest.mark.parametrize("value", [{"x": [PNG, PNG]}, [{"x": PNG}, {"x": PNG}], Elements({"x": PNG}, {"x": PNG})])
def test_bytes_that_are_no_text_stay_whole(value: Any) -> None:
    assert as_rows(value, "data.py:load", "data.train.python").to_pylist() == [{"x": PNG}] * 2


def test_masked_values_are_empty_cells_or_refused() -> None:
    masked = np.ma.array([1.0, -9999.0], mask=[False, True])
    assert table_of_arrays({"x": masked})["x"].to_pylist() == [1.0, None]
    whole = np.ma.array([[1.0, 2.0]], mask=False)
    assert to_arrays(table_of_arrays({"x": whole}), ["x"])["x"].tolist() == [[1.0, 2.0]]
    with pytest.raises(UserCodeError, match="masked values in column `x`, which has 2 dimensions"):
        table_of_arrays({"x": np.ma.array([[1.0, 2.0]], mask=[[False, True]])})


def test_large_whole_numbers_in_tensors_are_refused_as_in_columns() -> None:
    with pytest.raises(UserCodeError, match="got 9223372036854775813 in column `x`, expected whole numbers below"):
        to_arrays(table_of_arrays({"x": np.array([[2**63 + 5, 1]], np.uint64)}), ["x"])


@pytest.mark.parametrize("value", [[], {}, {"x": []}, {"x": np.zeros((0, 2, 2))}, pd.DataFrame({"x": []}), Elements()])
def test_nothing_is_a_table_without_rows(value: Any) -> None:
    assert as_rows(value, "data.py:load", "data.train.python").num_rows == 0


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (3, "builtins.int from data.py:load"),
        (None, "builtins.NoneType from data.py:load"),
        (pd.Series([1]), "pandas.* from data.py:load"),
        ((np.zeros(2), np.zeros(2)), "builtins.tuple from data.py:load"),
        (np.zeros((2, 2)), "numpy.ndarray from data.py:load"),
        (iter([{"x": 1}]), "builtins.list_iterator from data.py:load"),
    ],
)
def test_what_is_no_data_is_refused_by_its_type(value: Any, got: str) -> None:
    with pytest.raises(UserCodeError, match=f"data.train.python: got {got}, expected a Ray Dataset, pandas frame"):
        read(value)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"x": [1, 2], "y": [1]}, "columns of different lengths: {'x': 2, 'y': 1}"),
        ({"x": 1, "y": [1]}, "object of type 'int' has no len()"),
        ({"x": [[1, 2], [3]]}, "inhomogeneous shape"),
        ({"x": np.array([1j])}, "Unsupported numpy type"),
        ([1, 2], "a row that is a int, not a dict"),
        ([{"x": 1}, {"x": 2, "y": 3}], "rows of different columns, ['x'] and ['x', 'y']"),
        ([{"x": 1}, {}], "rows of different columns, ['x'] and []"),
        ([{"x": 1}, {"x": "a"}], "Could not convert 'a'"),
        ([{"x": 2**70}], "too large"),
        ([{"x": np.zeros(2)}, {"x": np.zeros(3)}], "same shape"),
        (pd.DataFrame({"x": [1, "a"]}), "Could not convert 'a'"),
        (Elements((np.zeros(2), 1)), "a row that is a tuple, not a dict"),
    ],
)
def test_what_makes_no_table_is_refused_with_the_reason(value: Any, why: str) -> None:
    with pytest.raises(UserCodeError) as refused:
        read(value)
    [problem] = refused.value.problems
    assert problem.field == "data.train.python"
    assert why in problem.got
    assert "data.py:load" in problem.got


@pytest.mark.parametrize("text", [b'{"a": 1}\n{"a": 2}\n', b'[{"a": 1}, {"a": 2}]'])
def test_json_may_begin_with_a_byte_order_mark(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + text)
    filesystem = pa.fs.LocalFileSystem()
    assert pa.concat_tables(decode_json(filesystem, str(file))).to_pydict() == {"a": [1, 2]}
    if text.startswith(b"{"):
        assert json_schema(filesystem, str(file)).names == ["a"]
