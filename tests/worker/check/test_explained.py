"""The user's line, and the word that is misspelt, in what stops a check."""

from __future__ import annotations

import keras
import pytest

from raytrain.errors import Failure, Problem, SpecError
from raytrain.user_code import call_reference
from raytrain.worker.check.explained import explained
from tests.conftest import MakeFolder

MODEL = """\
import keras
import numpy as np

def build_model():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu")])
    model.compile(
        optimizer="adam",
        loss="mse",
        metrics=["accuracy"],
    )
    return model
"""


def failure(make_folder: MakeFolder, right: str, wrong: str) -> Failure:
    """What is told of a model file in which something is misspelt."""
    assert right in MODEL
    folder = make_folder({"model.py": MODEL.replace(right, wrong), ".raytrain-rank-1-x/model.py": MODEL})
    with pytest.raises(Exception) as raised:
        model = call_reference("model.py:build_model", folder)
        model.fit(np_rows(4), np_rows(3), verbose=0)
    return explained(raised.value, folder, rank=1)


def np_rows(width: int) -> object:
    return keras.ops.zeros((8, width))


@pytest.mark.parametrize(
    ("right", "wrong", "line", "fix"),
    [
        ('"mse"', '"mean_squared_eror"', 8, "did you mean `mean_squared_error`?"),
        ('"accuracy"', '"acuracy"', 9, "did you mean `accuracy`?"),
        ('"adam"', '"adamm"', 6, "did you mean `Adam`?"),
        ('"relu"', '"rellu"', 5, "did you mean `relu`?"),
        ("layers.Dense", "layers.Dens", 5, "did you mean `Dense`?"),
        ("return model", "return modell", 11, ""),
    ],
)
def test_a_misspelt_name_is_told_with_its_line(
    right: str, wrong: str, line: int, fix: str, make_folder: MakeFolder
) -> None:
    told = failure(make_folder, right, wrong)
    assert (told.file, told.line, told.fix or "", told.rank, told.internal) == ("model.py", line, fix, 1, False)
    assert wrong.strip('"').rpartition(".")[2].split()[-1] in told.message


def test_a_refused_spec_is_told_by_its_field(make_folder: MakeFolder) -> None:
    problem = Problem(field="fit.global_batch_size", got="1", expected="2", fix="3")
    told = explained(SpecError(problem), make_folder({}))
    assert (told.field, told.got, told.expected, told.fix) == ("fit.global_batch_size", "1", "2", "3")
