from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raytrain.data.preprocess.step_field import Columns
from raytrain.data.preprocess.user_step import apply_user
from raytrain.errors import UserCodeError
from tests.data.preprocess.tables import features, job


def write(folder: Path, body: str) -> None:
    """A function of the user's own: the lines `body`, in which `batch` is what it was given."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    (folder / "model.py").write_text(f"import numpy as np\nsizes = []\ndef change(batch):\n{lines}\n")


def changed(folder: Path, body: str, **columns: Any) -> Columns:
    write(folder, body)
    return apply_user(folder, "model.py:change", {name: np.asarray(values) for name, values in columns.items()})


def test_steps_are_applied_in_the_order_given(tmp_path: Path) -> None:
    write(tmp_path, "return {'x': batch['x'] + 1}")
    mine, double = {"python": "model.py:change"}, {"scale": {"columns": ["x"], "by": 2.0}}
    assert features(job(mine, double), {"x": [1.0]}, folder=tmp_path).tolist() == [4.0]
    assert features(job(double, mine), {"x": [1.0]}, folder=tmp_path).tolist() == [3.0]


def test_it_sees_every_column_of_the_source(tmp_path: Path) -> None:
    write(tmp_path, "return {'x': batch['a'] + batch['b']}")
    assert features(job({"python": "model.py:change"}), {"a": [1], "b": [2]}, folder=tmp_path).tolist() == [3]


def test_it_sees_batches_and_every_row_once(tmp_path: Path) -> None:
    body = "sizes.append(len(batch['x']))\nreturn {'x': batch['x'], 'n': np.full(len(batch['x']), len(sizes))}"
    after = changed(tmp_path, body, x=np.arange(2500))
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
        ("['a', 'b']", np.object_),
    ],
)
def test_what_it_returns_has_the_types_of_columns_that_were_read(returned: str, dtype: Any, tmp_path: Path) -> None:
    assert changed(tmp_path, f"return {{'x': {returned}}}", x=[1, 2])["x"].dtype == dtype


def test_it_may_change_its_batch_in_place_without_touching_the_source(tmp_path: Path) -> None:
    column = np.array([1, 2], np.uint8)
    column.flags.writeable = False
    assert changed(tmp_path, "batch['x'] *= 2\nreturn batch", x=column)["x"].tolist() == [2, 4]
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
def test_what_it_must_not_return(body: str, got: str, tmp_path: Path) -> None:
    with pytest.raises(UserCodeError, match=got):
        changed(tmp_path, body, x=np.arange(1025))


def test_what_it_raises_goes_through_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        changed(tmp_path, "return 1 / 0", x=[1])


def test_masked_values_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserCodeError, match="masked values in column `x`"):
        changed(tmp_path, "return {'x': np.ma.array(batch['x'], mask=[True, False])}", x=[1.0, 2.0])


def test_a_column_that_is_to_be_float64_stays_so(tmp_path: Path) -> None:
    write(tmp_path, "return {'x': batch['x'] + 1, 'z': batch['x']}")
    for name, kind in (("x", np.float64), ("z", np.float32)):
        wide = job({"python": "model.py:change"}, features=name, columns={"x": {"dtype": "float64"}})
        assert features(wide, {"x": [1e9 + 1]}, folder=tmp_path).dtype == kind
