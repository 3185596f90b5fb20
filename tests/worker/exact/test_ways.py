"""Which rows something is computed from can be overruled, for a layer whose graph does not show that it mixes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conformance.cases import ADAM, mlp, of_batches
from tests.conformance.test_matrix import worst_difference
from tests.worker.conftest import Pools
from tests.worker.pool import Case
from tests.worker.test_one_answer import case

BY_GROUP = """
import tensorflow as tf
from raytrain.worker.exact import ways
@keras.saving.register_keras_serializable("case")
class LessItsGroup(keras.layers.Layer):
    def call(self, x):
        group = tf.argmax(x[:, :3], axis=-1)
        return x - tf.gather(tf.math.unsorted_segment_mean(x, group, 3), group)
layer = LessItsGroup()
"""


def grouped(overruling: str) -> Case:
    return case(model=mlp(ADAM, before=BY_GROUP + overruling, layers="layer,"), train=65, fit={"answer": "any"})


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize(
    ("overruling", "is_exact"),
    [("", False), ("ways.overrule(layer, ways.Way.ALL_ROWS)\n", True)],
    ids=["", "overruled"],
)
def test_a_layer_that_no_rule_covers_is_computed_from_all_rows_when_told(
    overruling: str, is_exact: bool, workers: int, pools: Pools, tmp_path: Path
) -> None:
    tried = grouped(overruling)
    [reference] = pools(0).run(tried, tmp_path)
    subjects = pools(workers).run(tried, tmp_path / "run")
    assert not any(subject.error for subject in subjects), subjects[0].error
    assert (worst_difference(subjects[0], reference) < 4e-5) == is_exact
    for subject in subjects[1:]:
        np.testing.assert_equal(subject.history, subjects[0].history)


def test_a_loss_is_computed_from_own_rows_when_told(pools: Pools, tmp_path: Path) -> None:
    told = (
        "from raytrain.worker.exact import ways\nloss = keras.losses.Dice()\nways.overrule(loss, ways.Way.OWN_ROWS)\n"
    )
    tried = of_batches("loss", metrics="")
    own = Case(
        model_py=tried.model_py.replace("def build_model", f"{told}def build_model"),
        spec=tried.spec,
        splits=tried.splits,
    )
    [reference] = pools(0).run(own, tmp_path)
    subject = pools(2).run(own, tmp_path / "run")[0]
    assert not subject.error, subject.error
    assert worst_difference(subject, reference) > 4e-5
