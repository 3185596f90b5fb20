from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import preprocessing

from raytrain.errors import UserCodeError
from tests.data.preprocess.tables import features, job

X = {"columns": ["x"]}
NUMBERS = np.random.default_rng(0).normal(5, 3, (50, 3)).astype(np.float32)
OTHERS = np.random.default_rng(1).normal(4, 9, (9, 3)).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_scale_multiplies_in_float32(dtype: Any) -> None:
    column = np.array([0, 51, 255], dtype)
    scaled = features(job({"scale": X | {"by": 1 / 255}}), {"x": column})
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [0, 0.2, 1], rtol=1e-6)


@pytest.mark.parametrize("shape", [(-1, 3), (-1,), (-1, 3, 1)])
@pytest.mark.parametrize(
    ("step", "scaler"),
    [
        ("standardize", preprocessing.StandardScaler()),
        ("min_max", preprocessing.MinMaxScaler()),
        ("max_abs", preprocessing.MaxAbsScaler()),
        ("robust", preprocessing.RobustScaler()),
    ],
)
def test_what_is_fitted_is_fitted_on_the_train_rows_alone(step: str, scaler: Any, shape: tuple[int, ...]) -> None:
    train, other = NUMBERS.reshape(shape), OTHERS.reshape(shape)
    scaler.fit(train.reshape(len(train), -1).astype(np.float64))
    for rows in (train, other):
        scaled = features(job({step: X}), {"x": train}, {"x": rows})
        expected = scaler.transform(rows.reshape(len(rows), -1).astype(np.float64))
        np.testing.assert_allclose(scaled, expected.reshape(rows.shape), atol=1e-5)
        assert scaled.dtype == np.float32


def test_robust_takes_other_quantiles() -> None:
    scaler = preprocessing.RobustScaler(quantile_range=(10, 90)).fit(NUMBERS)
    scaled = features(job({"robust": X | {"quantiles": [0.1, 0.9]}}), {"x": NUMBERS})
    np.testing.assert_allclose(scaled, scaler.transform(NUMBERS), atol=1e-5)


@pytest.mark.parametrize("step", ["standardize", "min_max", "robust"])
@pytest.mark.parametrize("value", [0, 7, 0.1, -3e8, 1_700_000_000_000_000_001])
def test_a_constant_column_becomes_zeros(value: float, step: str) -> None:
    assert features(job({step: X}), {"x": np.array([value] * 10)}).tolist() == [0] * 10


def test_one_constant_element_of_a_vector_leaves_the_others_alone() -> None:
    assert features(job({"standardize": X}), {"x": [[5.0, 1.0], [5.0, 3.0]]}).tolist() == [[0, -1], [0, 1]]


def test_a_column_of_float64_stays_one() -> None:
    spec = job({"standardize": X}, columns={"x": {"dtype": "float64"}})
    assert features(spec, {"x": [1e60, -1e60]}).dtype == np.float64


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_rows_are_normalized_over_all_columns_together(norm: str) -> None:
    table = {"a": NUMBERS[:, 0], "b": NUMBERS[:, 1:]}
    spec = job({"normalize": {"columns": ["a", "b"], "norm": norm}}, features=["a", "b"])
    np.testing.assert_allclose(features(spec, table), preprocessing.normalize(NUMBERS, norm=norm), rtol=1e-5)


def test_a_row_of_zeros_stays_one() -> None:
    assert features(job({"normalize": X}), {"x": [[0.0, 0.0], [3.0, 4.0]]})[0].tolist() == [0, 0]


@pytest.mark.parametrize("power", [0.5, 0.0, 2.0])
def test_power_is_that_of_scikit_learn(power: float) -> None:
    transformer = preprocessing.PowerTransformer(standardize=False).fit(NUMBERS)
    transformer.lambdas_ = np.full(3, power)
    found = features(job({"power": X | {"power": power}}), {"x": NUMBERS})
    np.testing.assert_allclose(found, transformer.transform(NUMBERS), rtol=1e-4, atol=1e-4)


def test_box_cox_takes_numbers_above_0() -> None:
    spec = job({"power": X | {"power": 0.0, "method": "box-cox"}})
    np.testing.assert_allclose(features(spec, {"x": [1.0, np.e]}), [0, 1], atol=1e-6)
    with pytest.raises(UserCodeError, match="got -1 in column `x`, expected numbers above 0 for box-cox"):
        features(spec, {"x": [-1.0]})


@pytest.mark.parametrize(
    ("bins", "numbers"),
    [(4, [0, 0, 0, 1, 1, 2, 3, 3]), ([1.0, 6.0], [0, 0, 0, 1, 1, 1, 2, 2])],
    ids=["equal ones of train's 0 to 8", "edges as given"],
)
def test_bins_hold_what_lies_outside_of_them_too(bins: Any, numbers: list[int]) -> None:
    train, other = {"x": [0.0, 8.0]}, {"x": [-9.0, 0.0, 1.0, 2.1, 4.0, 6.0, 8.0, 99.0]}
    assert features(job({"bucket": X | {"bins": bins}}), train, other).tolist() == numbers


@pytest.mark.parametrize(
    ("step", "train", "filled"),
    [
        ({}, [1, None, 4], [1, 2.5, 4]),
        ({}, [1.0, np.nan, None, 4.0], [1, 2.5, 2.5, 4]),
        ({"strategy": "most_frequent"}, [3, None, 1, 3], [3, 3, 1, 3]),
        ({"strategy": "most_frequent"}, [2, None, 1], [2, 1, 1]),
        ({"strategy": "most_frequent"}, ["a", None, "b", "b"], ["a", "b", "b", "b"]),
        ({"strategy": "constant", "fill_value": 9}, [3, None], [3, 9]),
        ({"strategy": "constant", "fill_value": "x"}, ["a", None], ["a", "x"]),
        ({}, [True, None, True, False], [1, np.float32(2 / 3), 1, 0]),
    ],
)
def test_empty_cells_are_filled(step: dict[str, Any], train: list[Any], filled: list[Any]) -> None:
    assert features(job({"impute": X | step}), {"x": train}).tolist() == filled


def test_rows_without_a_gap_have_the_type_of_those_with_one() -> None:
    assert features(job({"impute": X}), {"x": [1, None, 3]}, {"x": [1, 2]}).dtype == np.float32


@pytest.mark.parametrize(
    ("step", "train", "got"),
    [
        ({"impute": X}, [None, None], "column `x`, empty in all train rows"),
        ({"impute": X}, ["a", None], "text in column `x`"),
        ({"impute": X | {"strategy": "constant", "fill_value": "a"}}, [1, None], "'a' for empty cells of column `x`"),
        ({"min_max": X}, [1.0, np.inf], "NaN or infinity in column `x`"),
        ({"scale": X | {"by": 2.0}}, ["a"], "text in column `x`"),
        ({"standardize": X}, ["a"], "text in column `x`"),
        ({"bucket": X | {"bins": 2}}, ["a"], "text in column `x`"),
        ({"normalize": X}, ["a"], "text in column `x`"),
        ({"power": X | {"power": 1.0}}, ["a"], "text in column `x`"),
    ],
)
def test_columns_that_a_step_cannot_change(step: dict[str, Any], train: list[Any], got: str) -> None:
    with pytest.raises(UserCodeError) as refused:
        features(job(step), {"x": train})
    assert refused.value.problems[0].field == f"data.preprocess.0.{next(iter(step))}"
    assert refused.value.problems[0].got == got


def test_what_is_computed_has_all_digits_of_the_source() -> None:
    times = [1.7e9, 1.7e9 + 20, 1.7e9 + 40]
    found = features(job({"standardize": {"columns": ["x"]}}), {"x": times})
    np.testing.assert_allclose(found, [-1.2247449, 0, 1.2247449], rtol=1e-6)
    assert found.dtype == np.float32
    wide = job(
        {"scale": {"columns": ["x"], "by": 0.1, "into": ["z"]}}, features="z", columns={"x": {"dtype": "float64"}}
    )
    found = features(wide, {"x": [1000000001.0]})
    assert (found.dtype, found.tolist()) == (np.float64, [1000000001.0 * 0.1])


def test_columns_side_by_side_and_those_of_the_users_function_are_float32(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("def same(batch):\n    assert batch['x'].dtype == 'float32'\n    return batch\n")
    scale = {"scale": {"columns": ["x"], "by": 1.0}}
    together = {"concatenate": {"columns": ["x", "n"], "into": "all"}}
    columns = {"x": [0.1], "n": [2**24 + 1]}
    assert features(job(scale, {"python": "model.py:same"}), columns, folder=tmp_path).tolist() == [np.float32(0.1)]
    with pytest.raises(UserCodeError, match="a whole number beyond 16777216 in column `n`, to be float32"):
        features(job(scale, together, features="all"), columns)


@pytest.mark.parametrize("bins", [[18.0, 65.0], 3])
def test_an_empty_cell_is_in_no_bin(bins: Any) -> None:
    with pytest.raises(UserCodeError, match="NaN or infinity in column `x`"):
        bucket = job({"bucket": {"columns": ["x"], "bins": bins}}, columns={"x": {"allow_nan": True}})
        features(bucket, {"x": [10.0, 70.0]}, {"x": [10.0, float("nan")]})
