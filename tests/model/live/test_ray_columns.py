"""A Ray Dataset as `raytrain.fit` takes it, with a real Ray."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from raytrain.errors import UsageError
from raytrain.model.live.ray_columns import columns_of, is_ray_dataset
from raytrain.model.live.rows import rows_given

FRAME = pd.DataFrame({"a": np.arange(2000.0), "b": np.arange(2000) % 7, "label": np.arange(2000) % 2, "w": 0.5})
ONE = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
NAMED = keras.Model(inputs := [keras.Input((1,), name=name) for name in ("b", "a")], keras.layers.Add()(inputs))


@pytest.fixture(scope="module")
def dataset(ray_cluster: None) -> Any:
    import ray

    return ray.data.from_arrow([pa.Table.from_pandas(FRAME[at : at + 400]) for at in range(0, 2000, 400)])


def test_its_columns_are_what_a_frame_of_them_would_be(dataset: Any) -> None:
    import ray

    assert is_ray_dataset(dataset) and not is_ray_dataset(FRAME)
    x, y, weight = columns_of(dataset, "label", "w", ONE)
    np.testing.assert_equal(x, FRAME[["a", "b"]].to_numpy())
    np.testing.assert_equal(y, FRAME["label"].to_numpy())
    np.testing.assert_equal(weight, FRAME["w"].to_numpy())
    assert rows_given(x, y, weight).rows == 2000

    x, y, weight = columns_of(dataset, {"out": "label"}, None, NAMED)
    assert list(x) == ["b", "a"]
    np.testing.assert_equal(x["a"], FRAME["a"].to_numpy())
    np.testing.assert_equal(y["out"], FRAME["label"].to_numpy())
    assert weight is None

    images = ray.data.from_numpy(np.arange(24.0).reshape(2, 3, 4))
    x, y, _ = columns_of(images, None, None, keras.Sequential([keras.Input((3, 4))]))
    np.testing.assert_equal(x, np.arange(24.0).reshape(2, 3, 4))
    assert y is None

    ordered = dataset.context.execution_options.preserve_order
    for (y, weight), got in (
        (("lable", None), "column `lable`"),
        ((FRAME["label"], None), "a Series beside x"),
        (("label", 3), "a int beside x"),
        ((["a", "b", "label", "w"], None), "without a column beside y"),
    ):
        with pytest.raises(UsageError, match=got):
            columns_of(dataset, y, weight, ONE)
    for empty in (dataset.limit(0), ray.data.from_items([])):
        with pytest.raises(UsageError, match="of no rows"):
            columns_of(empty, "label", None, ONE)
    texts = ray.data.from_arrow(pa.table({"a": ["x"], "b": [1], "y": [0]}))
    with pytest.raises(UsageError, match="whose column `a` is"):
        columns_of(texts, "y", None, ONE)
    assert dataset.context.execution_options.preserve_order == ordered


def test_rows_keep_their_order_where_the_first_are_there_last(ray_cluster: None, tmp_path: Path) -> None:
    import ray

    def first_last(rows: dict[str, Any]) -> dict[str, Any]:
        (tmp_path / str(rows["id"][0])).touch()
        while rows["id"][0] == 0 and len(list(tmp_path.iterdir())) < 16:  # the test's own limit ends it
            time.sleep(0.05)
        time.sleep(1.0 if rows["id"][0] == 0 else 0.0)  # the others are on their way
        return {"a": rows["id"], "b": rows["id"]}

    slow = ray.data.range(32, override_num_blocks=16).map_batches(first_last, batch_size=None)
    x, _, _ = columns_of(slow, None, None, ONE)
    np.testing.assert_equal(x[:, 0], np.arange(32))
