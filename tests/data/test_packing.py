from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from raytrain.data.packing import pack, side_by_side
from raytrain.errors import UserCodeError
from raytrain.spec.data_spec import DataSpec

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


def test_weights_of_text_are_refused() -> None:
    with pytest.raises(UserCodeError, match=r"data.weight: got text in column `t` \(x, y\), expected numbers"):
        pack(COLUMNS, data_spec(features="a", label="y", weight="t"))


def test_weights_are_float32() -> None:
    assert pack(COLUMNS, data_spec(features="a", label="y", weight="w"))[2].dtype == np.float32


def test_text_among_columns_that_form_one_input_is_refused() -> None:
    with pytest.raises(UserCodeError, match=r"text column `t` .* features: \{t: t, …\}"):
        pack(COLUMNS, data_spec(features=["a", "t"]))


@pytest.mark.parametrize(
    ("names", "dtype"),
    [(["y", "b"], np.int64), (["y", "a"], np.float32), (["y", "d"], np.float64), (["a", "d"], np.float64)],
)
def test_whole_numbers_beside_fractions_become_fractions_of_their_type(names: list[str], dtype: Any) -> None:
    columns = COLUMNS | {"d": np.array([1e300, 1.0])}
    assert pack(columns, data_spec(features=names))[0].dtype == dtype


def test_text_is_no_label() -> None:
    with pytest.raises(UserCodeError, match=r"text in column `t` \(x, y\).*encode: \{columns: \[t\]\}"):
        pack(COLUMNS, data_spec(features="a", label="t"))


def test_lists_of_any_length_are_no_input() -> None:
    lists = np.empty(2, dtype=object)
    lists[:] = [[1], [2, 3]]
    with pytest.raises(UserCodeError, match=r"lists of any length in column `a`.*pad: \{columns: \[a\], length: 32\}"):
        pack({"a": lists}, data_spec(features="a"))


def test_a_column_that_no_step_made_is_named() -> None:
    with pytest.raises(UserCodeError, match=r"got column `c`, expected one of a, b, t, y, w"):
        pack(COLUMNS, data_spec(features="c"))


@pytest.mark.parametrize("whole", [2**24 + 1, -(2**24) - 1, -(2**63)])
def test_whole_numbers_that_fractions_beside_them_would_round_are_refused(whole: int) -> None:
    columns = COLUMNS | {"id": np.array([whole, 1])}
    with pytest.raises(UserCodeError, match=r"column `id`, to be float32.*data\.columns: \{id: \{dtype: float64\}\}"):
        pack(columns, data_spec(features=["a", "id"]))
    assert pack(columns, data_spec(features=["id", "y"]))[0][0, 0] == whole
    assert pack(COLUMNS | {"id": np.array([2**24, 1])}, data_spec(features=["a", "id"]))[0][0, 1] == 2**24


def test_decimal_commas_are_told_the_option_that_reads_them() -> None:
    with pytest.raises(UserCodeError, match='decimal: ","'):
        side_by_side({"a": np.array(["0,5", "-1,25"], object)}, ["a"], field="data.features")
