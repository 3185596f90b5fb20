from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from raytrain.driver.preprocess import Columns, preprocess
from raytrain.errors import UserCodeError
from raytrain.spec.preprocess import Preprocess


def steps(*values: dict[str, Any]) -> list[Preprocess]:
    return [Preprocess.model_validate(value) for value in values]


def splits(**train: Any) -> dict[str, Columns]:
    return {"train": {name: np.asarray(values) for name, values in train.items()}}


def with_function(folder: Path, body: str) -> list[Preprocess]:
    """A step of the user's own: the lines `body`, in which `batch` is what it was given."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    (folder / "model.py").write_text(f"import numpy as np\nsizes = []\ndef change(batch):\n{lines}\n")
    return steps({"python": "model.py:change"})


@pytest.mark.parametrize(
    "column",
    [
        np.array([0, 51, 255], np.uint8),
        np.array([0, 51, 255], np.int64),
        np.array([0, 51, 255], np.float32),
    ],
)
def test_scale_multiplies_every_split_in_float32(column: Any, tmp_path: Path) -> None:
    before = {"train": {"x": column, "y": np.array([1, 2, 3])}, "test": {"x": column[:1], "y": np.array([1])}}
    after = preprocess(before, steps({"scale": {"columns": ["x"], "by": 1 / 255}}), tmp_path)
    assert after["train"]["x"].dtype == np.float32
    np.testing.assert_allclose(after["train"]["x"], [0, 0.2, 1], rtol=1e-6)
    np.testing.assert_array_equal(after["test"]["x"], [0])
    assert after["train"]["y"].tolist() == [1, 2, 3]
    assert before["train"]["x"].tolist() == [0, 51, 255]


def test_standardize_is_fitted_on_the_train_rows_alone(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    parts = {
        name: generator.normal(rows, 3.0, (rows, 2)).astype(np.float32) for name, rows in (("train", 50), ("test", 9))
    }
    before = {name: {"x": values} for name, values in parts.items()}
    after = preprocess(before, steps({"standardize": {"columns": ["x"]}}), tmp_path)
    scaler = StandardScaler().fit(parts["train"].astype(np.float64))
    for name, values in parts.items():
        np.testing.assert_allclose(after[name]["x"], scaler.transform(values.astype(np.float64)), atol=1e-5)
        assert after[name]["x"].dtype == np.float32


@pytest.mark.parametrize("value", [0, 7, 0.1, -3e8, 1_700_000_000_000_000_001])
def test_a_constant_column_becomes_zeros(value: float, tmp_path: Path) -> None:
    before = {"train": {"x": np.array([value] * 10)}, "test": {"x": np.array([value])}}
    after = preprocess(before, steps({"standardize": {"columns": ["x"]}}), tmp_path)
    assert after["train"]["x"].tolist() == [0] * 10
    assert after["test"]["x"].tolist() == [0]


def test_one_constant_element_of_a_vector_leaves_the_others_alone(tmp_path: Path) -> None:
    after = preprocess(splits(x=[[5.0, 1.0], [5.0, 3.0]]), steps({"standardize": {"columns": ["x"]}}), tmp_path)
    assert after["train"]["x"].tolist() == [[0, -1], [0, 1]]


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32])
def test_one_hot_is_that_of_scikit_learn(dtype: Any, tmp_path: Path) -> None:
    values = np.array([2, 0, 1, 2, 3])
    after = preprocess(splits(y=values.astype(dtype)), steps({"one_hot": {"columns": ["y"], "classes": 5}}), tmp_path)
    encoder = OneHotEncoder(categories=[range(5)], sparse_output=False)
    np.testing.assert_array_equal(after["train"]["y"], encoder.fit_transform(values[:, None]))
    assert after["train"]["y"].dtype == np.float32


@pytest.mark.parametrize(
    ("values", "got"),
    [([0, 3], "values from 0 to 3"), ([-1, 2], "values from -1 to 2"), ([0.5, 1.0], "values from 0.5 to 1.0")],
)
def test_one_hot_refuses_what_is_no_class(values: list[float], got: str, tmp_path: Path) -> None:
    with pytest.raises(UserCodeError) as refused:
        preprocess(splits(y=values), steps({"one_hot": {"columns": ["y"], "classes": 3}}), tmp_path)
    [problem] = refused.value.problems
    assert (problem.field, problem.got, problem.expected) == ("data.preprocess[0].one_hot", got, "0 to 2")


def test_one_hot_looks_at_every_split(tmp_path: Path) -> None:
    parts = {"train": {"y": np.array([0, 1])}, "validation": {"y": np.array([0, 2])}}
    with pytest.raises(UserCodeError, match="values from 0 to 2"):
        preprocess(parts, steps({"one_hot": {"columns": ["y"], "classes": 2}}), tmp_path)


@pytest.mark.parametrize("kind", ["scale", "standardize", "one_hot"])
@pytest.mark.parametrize(
    ("column", "got"), [("nope", "column `nope`"), ("text", "text in column `text`")], ids=["unknown", "text"]
)
def test_a_column_that_a_step_cannot_change_is_refused(kind: str, column: str, got: str, tmp_path: Path) -> None:
    every: dict[str, dict[str, Any]] = {"scale": {"by": 2.0}, "standardize": {}, "one_hot": {"classes": 2}}
    before = splits(x=[1.0], text=np.array(["a"], dtype=object))
    wrong = steps({"scale": {"columns": ["x"], "by": 1.0}}, {kind: {"columns": [column], **every[kind]}})
    with pytest.raises(UserCodeError) as refused:
        preprocess(before, wrong, tmp_path)
    assert refused.value.problems[0].field == f"data.preprocess[1].{kind}"
    assert refused.value.problems[0].got == got


def test_steps_are_applied_in_the_order_given(tmp_path: Path) -> None:
    mine = with_function(tmp_path, "return {'x': batch['x'] + 1}")
    double = steps({"scale": {"columns": ["x"], "by": 2.0}})
    assert preprocess(splits(x=[1.0]), [*mine, *double], tmp_path)["train"]["x"].tolist() == [4.0]
    assert preprocess(splits(x=[1.0]), [*double, *mine], tmp_path)["train"]["x"].tolist() == [3.0]


def test_a_function_of_the_users_own_sees_batches_and_every_row_once(tmp_path: Path) -> None:
    body = "sizes.append(len(batch['x']))\nreturn {'x': batch['x'], 'n': np.full(len(batch['x']), len(sizes))}"
    after = preprocess(splits(x=np.arange(2500)), with_function(tmp_path, body), tmp_path)["train"]
    assert after["x"].tolist() == list(range(2500))
    assert np.bincount(after["n"]).tolist() == [0, 1024, 1024, 452]


@pytest.mark.parametrize(
    ("returned", "dtype"),
    [
        ("np.asarray(batch['x'], np.float64)", np.float32),
        ("batch['x'] > 1", np.float32),
        ("np.asarray(batch['x'], np.uint8)", np.uint8),
        ("np.asarray(batch['x'], np.int16)", np.int64),
        ("[int(value) for value in batch['x']]", np.int64),
        ("np.array(['a', 'b'], object)", np.object_),
    ],
)
def test_what_a_function_returns_has_the_types_of_columns_that_were_read(
    returned: str, dtype: Any, tmp_path: Path
) -> None:
    after = preprocess(splits(x=[1, 2]), with_function(tmp_path, f"return {{'x': {returned}}}"), tmp_path)
    assert after["train"]["x"].dtype == dtype


def test_a_function_may_change_its_batch_in_place_without_touching_the_source(tmp_path: Path) -> None:
    column = np.array([1, 2], np.uint8)
    column.flags.writeable = False
    mine = with_function(tmp_path, "batch['x'] *= 2\nreturn batch")
    assert preprocess({"train": {"x": column}}, mine, tmp_path)["train"]["x"].tolist() == [2, 4]
    assert column.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("body", "got"),
    [
        ("return [1]", "a list from model.py:change"),
        ("return None", "a NoneType from model.py:change"),
        (
            "return {'x': batch['x'][1:]}",
            r"column `x` of shape \(1023,\) from model.py:change for a batch of 1024 rows",
        ),
        ("return {'x': batch['x'], 'y': 1.0}", r"column `y` of shape \(\)"),
        ("return {'x': batch['x'], 'y': [[1, 2]]}", r"column `y` of shape \(1, 2\)"),
        ("return {f'x{len(batch[chr(120)])}': batch['x']}", "the columns x1 from model.py:change after x1024"),
    ],
)
def test_what_a_function_must_not_return(body: str, got: str, tmp_path: Path) -> None:
    with pytest.raises(UserCodeError, match=got):
        preprocess(splits(x=np.arange(1025)), with_function(tmp_path, body), tmp_path)


def test_what_a_function_raises_goes_through_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        preprocess(splits(x=[1]), with_function(tmp_path, "return 1 / 0"), tmp_path)
