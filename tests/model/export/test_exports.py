"""What is exported gives the model's answers on the data's own columns, by the runtime of each format."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from raytrain.errors import NotFound, UsageError, UserCodeError
from raytrain.export_protocol import CARD, FORMATS, Format
from raytrain.model.export import artifacts
from raytrain.model.export.proven import difference
from raytrain.run.run_paths import RunPaths
from raytrain.user_code import load_reference
from tests.model.export.trained_runs import exported_as, trained_run

pytestmark = [  # of Keras, its converters and TensorFlow's interpreter, in the process that a user has for them
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

NUMBERS: dict[str, list[Any]] = {
    "age": [20.5, 31.25, 47.0, 68.125, 22.0, 35.5],
    "income": [1e3, 2.5e4, 3.1e4, 9e5, 1e3, 7.7e4],
    "pixels": [[0, 16], [3, 4], [5, 6], [7, 16], [9, 10], [11, 12]],
    "room number": [101, 202, 303, 101, 202, 303],
    "label": [0, 1, 1, 0, 1, 0],
}
# Each kind of step of numbers, some after one another, one that is the label's alone.
NUMERIC: list[dict[str, Any]] = [
    {"standardize": {"columns": ["age", "label"], "into": ["age_s", "label_s"]}},
    {"min_max": {"columns": ["age"], "into": ["age_m"]}},
    {"max_abs": {"columns": ["income"], "into": ["income_a"]}},
    {"robust": {"columns": ["income"], "into": ["income_r"]}},
    {"power": {"columns": ["age_s"], "power": 0.5}},
    {"scale": {"columns": ["pixels"], "by": 0.0625}},
    {"normalize": {"columns": ["pixels"], "norm": "l2"}},
    {"bucket": {"columns": ["age"], "bins": 3, "into": ["age_b"]}},
    {"one_hot": {"columns": ["room number"], "unseen": "ignore", "into": ["room"]}},
    {"encode": {"columns": ["room number"], "unseen": 9, "into": ["room_n"]}},
    {"concatenate": {"columns": ["age_s", "age_m", "income_a", "income_r"], "into": "money"}},
    {"impute": {"columns": ["income"], "strategy": "mean"}},
]
FEATURES = ["money", "pixels", "age_b", "room", "room_n"]
WIDTH = 4 + 2 + 1 + 3 + 1


def dense(width: int) -> keras.Model:
    keras.utils.set_random_seed(7)
    return keras.Sequential(
        [
            keras.Input((width,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_gives_the_models_answers(format: Format, tmp_path: Path) -> None:
    paths = trained_run(tmp_path, NUMBERS, dense(WIDTH), features=FEATURES, steps=NUMERIC)

    exported = exported_as(paths, format)

    assert exported.largest_difference < 1e-5 and exported.rows == 6 and exported.of_data
    assert Path(exported.artifact).exists() and exported.bytes > 500
    card = (Path(exported.path) / CARD).read_text()
    assert card.startswith("---\nlibrary_name: keras\n") and "git commit: none known" in card
    if format == "weights":
        assert exported.preprocessing == "outside" and "left outside" in card
        return
    assert exported.preprocessing == "inside" and "| `room_number` | room number | int64 | (rows) |" in card
    kind = "float32" if format == "litert" else "float64"
    kinds = {"pixels": "int64", "age": kind, "income": kind, "room_number": "int64"}
    assert {each.name: each.dtype for each in exported.inputs} == kinds
    assert exported.outputs == ("label",)


def test_a_step_left_out_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof is of the file: what gives other answers is refused, and by how much is said."""
    paths = trained_run(tmp_path, NUMBERS, dense(2), features="pixels", steps=[NUMERIC[5]])
    monkeypatch.setattr("raytrain.model.export.graph_steps._CHANGES", {"scale": lambda graph, tensor, *_: tensor})

    with pytest.raises(UserCodeError, match=r"tf_saved_model, whose answers `label` are not the model's: .* apart"):
        exported_as(paths, "tf_saved_model")


TEXT: dict[str, list[Any]] = {
    "city": ["Bonn", "Köln", "Bonn", "Aachen"],
    "rooms": [1, 2, 3, 2],
    "label": ["no", "yes", "yes", "no"],
}
LOOKUPS: list[dict[str, Any]] = [
    {"one_hot": {"columns": ["city"]}},
    {"encode": {"columns": ["rooms"]}},
    {"encode": {"columns": ["label"]}},
]


@pytest.mark.parametrize("format", ["keras", "tf_saved_model"])
def test_text_and_unseen_values_are_as_in_the_run(format: Format, tmp_path: Path) -> None:
    paths = trained_run(tmp_path, TEXT, dense(4), features=["city", "rooms"], steps=LOOKUPS)

    exported = exported_as(paths, format)

    assert [(each.name, each.dtype) for each in exported.inputs] == [("city", "string"), ("rooms", "int64")]
    assert "classes of label, from 0 on: no, yes" in (Path(exported.path) / CARD).read_text()
    artifact = Path(exported.artifact)
    rows = {"city": np.array(["Köln"], object), "rooms": np.array([3])}
    assert artifacts.run(artifact, format, rows, {})["label"].shape == (1, 2)
    for unseen in ({"city": np.array(["Paris"], object)}, {"rooms": np.array([4])}):
        with pytest.raises(tf.errors.InvalidArgumentError):
            artifacts.run(artifact, format, rows | unseen, {})


@pytest.mark.parametrize(
    ("steps", "format", "said"),
    [
        (LOOKUPS, "onnx", "a column of text, which onnx does not take"),
        ([LOOKUPS[1], LOOKUPS[2]], "litert", "data.preprocess.0.encode: got unseen: refuse.*NUMBER in the job"),
        ([{"tokenize": {"columns": ["city"]}}, LOOKUPS[2]], "keras", "tokenize, which takes lists of any length"),
    ],
)
def test_what_a_format_cannot_express_is_refused_by_name(
    steps: list[dict[str, Any]], format: Format, said: str, tmp_path: Path
) -> None:
    last = [{"count": {"columns": ["city"]}}] if "tokenize" in steps[0] else []
    features = ["rooms"] if "encode" in steps[0] else ["city"]
    width = 1 if "encode" in steps[0] else 3
    paths = trained_run(tmp_path, TEXT, dense(width), features=features, steps=[*steps, *last])

    with pytest.raises(UsageError, match=said) as refused:
        exported_as(paths, format)

    assert "--without-preprocessing" in str(refused.value)


def test_the_model_alone_is_fed_what_the_steps_make(tmp_path: Path) -> None:
    paths = trained_run(tmp_path, TEXT, dense(4), features=["city", "rooms"], steps=LOOKUPS)

    exported = exported_as(paths, "onnx", without_preprocessing=True)

    assert exported.preprocessing == "outside" and exported.of_data
    assert [(each.dtype, each.shape) for each in exported.inputs] == [("float32", (None, 4))]


def test_several_inputs_and_outputs_keep_their_names(tmp_path: Path) -> None:
    left, right = keras.Input((1,), name="left"), keras.Input((2,), name="right")
    both = keras.layers.Concatenate()([left, right])
    outputs = {"class": keras.layers.Dense(2, name="class")(both), "size": keras.layers.Dense(1, name="size")(both)}
    columns = {**NUMBERS, "area": NUMBERS["age"]}
    paths = trained_run(
        tmp_path,
        columns,
        keras.Model({"left": left, "right": right}, outputs),
        features={"left": ["age"], "right": "pixels"},
        label={"class": "label", "size": "area"},
        steps=[{"standardize": {"columns": ["age"]}}],
    )

    exported = exported_as(paths, "tf_saved_model")

    assert exported.outputs == ("class", "size")
    assert [each.column for each in exported.inputs] == ["age", "pixels"]


OWN = """
import keras
class Halve(keras.layers.Layer):
    def call(self, x):
        return x * 0.5
def build_model():
    return keras.Sequential([keras.Input((2,)), Halve(), keras.layers.Dense(2)])
"""


@pytest.mark.parametrize("format", ["keras", "tf_saved_model", "onnx"])
def test_classes_of_the_jobs_own_are_found_with_the_run(format: Format, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(OWN)
    model = load_reference("model.py:build_model", tmp_path)()
    paths = trained_run(tmp_path, NUMBERS, model, features="pixels", steps=[NUMERIC[5]])
    with zipfile.ZipFile(paths.package, "w") as package:
        package.write(tmp_path / "model.py", "model.py")
    forget_model(tmp_path)

    assert exported_as(paths, format).largest_difference < 1e-5


def test_a_class_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(OWN)
    model = load_reference("model.py:build_model", tmp_path)()
    paths = trained_run(tmp_path, NUMBERS, model, features="pixels")
    forget_model(tmp_path)

    with pytest.raises(UserCodeError, match=r"a model that Keras cannot load: .*Halve"):
        exported_as(paths, "keras")


def forget_model(folder: Path) -> None:
    """As in another process, which has not imported it, on a machine that has not its file."""
    del sys.modules["model"]
    sys.path.remove(str(folder))
    (folder / "model.py").unlink()


def test_rows_out_of_sight(tmp_path: Path) -> None:
    paths = trained_run(tmp_path, NUMBERS, dense(2), features="pixels", steps=[NUMERIC[5]])
    body = json.loads(paths.spec.read_text())
    body["data"]["train"] = {"parquet": "/gone/rows.parquet"}
    paths.spec.write_text(json.dumps(body))

    with pytest.raises(NotFound, match=r"rows that cannot be read here: .*/gone/rows.parquet.*--without-preprocessing"):
        exported_as(paths, "keras")
    _empty(paths)
    exported = exported_as(paths, "keras", without_preprocessing=True)
    assert not exported.of_data and exported.rows == 64


def test_what_the_steps_learned_is_gone(tmp_path: Path) -> None:
    paths = trained_run(tmp_path, NUMBERS, dense(2), features="pixels", steps=[NUMERIC[5]])
    paths.preprocessing.unlink()

    with pytest.raises(NotFound, match=r"preprocessing\.json is not there.*--without-preprocessing"):
        exported_as(paths, "keras")


def test_a_policy_that_onnx_has_not(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, dtype="mixed_float16", name="half")])
    paths = trained_run(tmp_path, NUMBERS, model, features="pixels")

    with pytest.raises(UsageError, match="layer half of the policy mixed_float16, which onnx cannot express"):
        exported_as(paths, "onnx")


def test_answers_of_another_shape_or_none() -> None:
    wanted = {"label": np.zeros((3, 2), np.float32)}

    assert difference({"label": np.full((3, 2), 1e-6, np.float32)}, wanted, "onnx") == pytest.approx(1e-6)
    for answers, said in (({}, "no such output"), ({"label": np.zeros((3, 1))}, r"shape \(3, 1\)")):
        with pytest.raises(UserCodeError, match=said):
            difference(answers, wanted, "onnx")


def _empty(paths: RunPaths) -> None:
    for folder in paths.exports.iterdir():
        folder.rmdir()
