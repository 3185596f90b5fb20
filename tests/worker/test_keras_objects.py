from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.utils.naming import to_snake_case

from raytrain.errors import Problem, UserCodeError
from raytrain.worker import keras_objects
from raytrain.worker.checkpoints.checkpoint import Snapshot, assign_all, read, write

NOWHERE = Path("/nowhere")

# Classes that cannot be made from their name alone, with arguments that they can be made of.
NEEDS: dict[str, dict[str, Any]] = {
    "LossScaleOptimizer": {"inner_optimizer": {"name": "sgd"}},
    "IoU": {"num_classes": 2, "target_class_ids": [0]},
    "MeanIoU": {"num_classes": 2},
    "OneHotIoU": {"num_classes": 2, "target_class_ids": [0]},
    "OneHotMeanIoU": {"num_classes": 2},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
}
# What is no choice of a user's: base classes, and those that are made of other objects.
NOT_CHOSEN = {"Optimizer", "MultiOptimizer", "OptimizerMap", "Loss", "Metric", "MeanMetricWrapper"}


def classes(module: Any) -> list[str]:
    names = [name for name, item in vars(module).items() if isinstance(item, type) and not name.startswith("_")]
    return sorted(set(names) - NOT_CHOSEN)


def spellings(name: str) -> list[str]:
    return sorted({name, to_snake_case(name), name.lower(), name.upper()})


def refusal(make: Any, *arguments: Any, **named: Any) -> Problem:
    with pytest.raises(UserCodeError) as refused:
        make(*arguments, **named)
    [problem] = refused.value.problems
    return problem


def metric(value: Any, folder: Path = NOWHERE) -> Any:
    return keras_objects.loss_or_metric(value, keras.metrics, folder, field="compile.metrics")


def loss(value: Any, folder: Path = NOWHERE) -> Any:
    return keras_objects.loss_or_metric(value, keras.losses, folder, field="compile.loss")


@pytest.fixture(autouse=True)
def own_names() -> Iterator[None]:
    """Keras counts the layers it makes, `dense_7`; a case begins at none."""
    keras.backend.clear_session(free_memory=False)
    yield


@pytest.mark.parametrize("name", classes(keras.optimizers))
def test_every_optimizer_of_keras_in_every_spelling(name: str) -> None:
    for spelling in spellings(name):
        if name not in NEEDS:
            assert type(keras_objects.optimizer(spelling, NOWHERE)).__name__ == name
        made = keras_objects.optimizer({"name": spelling, **NEEDS.get(name, {"clipnorm": 0.5})}, NOWHERE)
        assert type(made).__name__ == name
        assert name in NEEDS or made.clipnorm == 0.5


@pytest.mark.parametrize("name", classes(keras.losses))
def test_every_loss_of_keras_in_every_spelling(name: str) -> None:
    for spelling in spellings(name):
        resolved = keras.losses.get(loss(spelling))  # some names are functions' too
        found = type(resolved).__name__ if isinstance(resolved, keras.losses.Loss) else resolved.__name__
        assert found.replace("_", "").lower() == name.lower()
        assert type(loss({"name": spelling, "reduction": "sum"})) is getattr(keras.losses, name)


@pytest.mark.parametrize("name", classes(keras.metrics))
def test_every_metric_of_keras_in_every_spelling(name: str) -> None:
    for spelling in spellings(name):
        made = metric({"name": spelling, "dtype": "float32", **NEEDS.get(name, {})})
        assert type(made) is getattr(keras.metrics, name)
        if name not in NEEDS:
            model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
            model.compile(loss="mse", metrics=[metric(spelling)])  # Keras looks names up when it first computes them


@pytest.mark.parametrize("name", [name for name in classes(keras.metrics) if name in NEEDS])
def test_a_metric_that_needs_arguments_says_so(name: str) -> None:
    for spelling in (name, to_snake_case(name), name.lower()):
        problem = refusal(metric, spelling)
        assert next(iter(NEEDS[name])) in problem.expected
        assert problem.field == "compile.metrics"


@pytest.mark.parametrize(
    "name", ["mse", "MSE", "mae", "bce", "kld", "mean_squared_error", "sparse_categorical_crossentropy", "huber", "ctc"]
)
def test_short_and_function_names_of_losses_are_left_for_keras(name: str) -> None:
    assert loss(name) == name


@pytest.mark.parametrize("name", ["accuracy", "acc", "crossentropy", "ce", "mse", "AUC", "auc", "f1_score", "r2_score"])
def test_short_and_function_names_of_metrics_are_left_for_keras(name: str) -> None:
    assert metric(name) == name


@pytest.mark.parametrize("name", ["accuracy", "acc", "ce", "crossentropy"])
def test_what_keras_reads_as_a_metric_alone_is_no_loss(name: str) -> None:
    assert refusal(loss, name).got == f"`{name}`"


@pytest.mark.parametrize(
    ("make", "value", "fix"),
    [
        (keras_objects.optimizer, "adm", "did you mean `Adam`?"),
        (keras_objects.optimizer, {"name": "rmspropp"}, "did you mean `RMSprop`?"),
        (loss, "sparse_categorical_crossentrpy", "did you mean `sparse_categorical_crossentropy`?"),
        (loss, {"name": "binary_crosentropy"}, "did you mean `BinaryCrossentropy`?"),
        (metric, "acuracy", "did you mean `accuracy`?"),
        (metric, ["mse", "precison"], "did you mean `Precision`?"),
        (metric, "qqqqqqqqqq", ""),
        (loss, "", ""),
        (loss, "get", "did you mean `hinge`?"),
        (loss, "serialize", None),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(make: Any, value: Any, fix: str | None) -> None:
    problem = refusal(make, value, NOWHERE)
    assert problem.field.startswith("compile.")
    assert problem.expected == "a name in Keras"
    named = value["name"] if isinstance(value, dict) else value[-1] if isinstance(value, list) else value
    assert problem.got == f"`{named}`"
    assert problem.fix == fix or (fix is None and f"`{named}`" not in problem.fix)


def test_a_problem_names_the_place_in_a_list_or_map() -> None:
    assert refusal(metric, ["mse", "nope"]).field == "compile.metrics.1"
    assert refusal(metric, {"out": ["mse"], "side": ["mae", "nope"]}).field == "compile.metrics.side.1"
    assert refusal(metric, [3]).got == "3"


def test_lists_and_maps_keep_their_shape() -> None:
    made = metric({"out": ["mse", {"name": "auc", "curve": "PR"}], "side": None})
    assert made["out"][0] == "mse"
    assert (type(made["out"][1]), made["out"][1].curve) == (keras.metrics.AUC, keras.metrics.AUC(curve="PR").curve)
    assert made["side"] is None
    assert loss({"out": "mse", "side": {"name": "huber", "delta": 2.0}})["side"].name == "huber_loss"


@pytest.mark.parametrize(
    ("make", "value", "expected"),
    [
        (keras_objects.optimizer, {"name": "adam", "lr": 0.1}, "not recognized"),
        (keras_objects.optimizer, {"name": "adam", "learning_rate": "fast"}, "`learning_rate` should be float"),
        (loss, {"name": "huber", "delt": 1.0}, "unexpected keyword argument 'delt'"),
        (metric, {"name": "auc", "curve": "QR"}, "Invalid AUC curve"),
    ],
)
def test_arguments_that_keras_does_not_take_are_refused_in_its_words(make: Any, value: Any, expected: str) -> None:
    problem = refusal(make, value, NOWHERE)
    assert expected in problem.expected
    assert problem.field.startswith("compile.")


SCHEDULES: dict[str, dict[str, Any]] = {
    "ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
    "InverseTimeDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
    "PolynomialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10},
    "CosineDecay": {"initial_learning_rate": 0.1, "decay_steps": 10},
    "CosineDecayRestarts": {"initial_learning_rate": 0.1, "first_decay_steps": 10},
    "PiecewiseConstantDecay": {"boundaries": [5], "values": [0.1, 0.01]},
}


@pytest.mark.parametrize(
    "name", [name for name in classes(keras.optimizers.schedules) if name != "LearningRateSchedule"]
)
def test_every_schedule_of_keras_in_every_spelling(name: str) -> None:
    expected = getattr(keras.optimizers.schedules, name)(**SCHEDULES[name])
    for spelling in spellings(name):
        made = keras_objects.optimizer({"name": "sgd", "learning_rate": {"name": spelling, **SCHEDULES[name]}}, NOWHERE)
        schedule = made._learning_rate
        assert type(schedule) is type(expected)
        assert [float(schedule(step)) for step in range(12)] == [float(expected(step)) for step in range(12)]


def test_a_schedule_that_is_not_there_is_refused_where_it_stands() -> None:
    value = {"name": "adam", "learning_rate": {"name": "CosinDecay", "decay_steps": 3}}
    problem = refusal(keras_objects.optimizer, value, NOWHERE)
    assert (problem.field, problem.fix) == ("compile.optimizer.learning_rate", "did you mean `CosineDecay`?")


def test_an_optimizer_without_a_name_is_refused() -> None:
    assert refusal(keras_objects.optimizer, {"learning_rate": 0.1}, NOWHERE).field == "compile.optimizer"


def test_inner_optimizers_are_optimizers() -> None:
    value = {"name": "LossScaleOptimizer", "inner_optimizer": {"name": "sgd", "learning_rate": 0.25}}
    assert float(keras_objects.optimizer(value, NOWHERE).inner_optimizer.learning_rate) == 0.25


def test_references_into_the_users_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("""
import keras
def make(): return keras.optimizers.SGD(0.125)
def gap(y_true, y_pred): return keras.ops.mean(y_true - y_pred)
class Far(keras.metrics.Mean): pass
def watch(): return [keras.callbacks.TerminateOnNaN()]
def one(): return keras.callbacks.TerminateOnNaN()
def none(): return []
def wrong(): return [len]
""")
    assert float(keras_objects.optimizer("mine.py:make", tmp_path).learning_rate) == 0.125
    assert loss("mine.py:gap", tmp_path).__name__ == "gap"
    [made, name] = metric(["mine.py:Far", "mse"], tmp_path)
    assert (made.__name__, name) == ("Far", "mse")
    assert [type(item).__name__ for item in keras_objects.callbacks("mine.py:watch", tmp_path)] == ["TerminateOnNaN"]
    assert [type(item).__name__ for item in keras_objects.callbacks("mine.py:one", tmp_path)] == ["TerminateOnNaN"]
    assert keras_objects.callbacks("mine.py:none", tmp_path) == []
    assert refusal(keras_objects.callbacks, "mine.py:wrong", tmp_path).got == (
        "a builtin_function_or_method from mine.py:wrong"
    )


def test_callbacks_by_name() -> None:
    made = keras_objects.callbacks([{"ReduceLROnPlateau": {"patience": 3}}, {"TerminateOnNaN": None}], NOWHERE)
    assert [type(item).__name__ for item in made] == ["ReduceLROnPlateau", "TerminateOnNaN"]
    assert made[0].patience == 3


@pytest.mark.parametrize(
    ("value", "field", "words"),
    [
        ([{"TerminateOnNaN": None}, {"EarlyStoping": {}}], "callbacks.1", "did you mean `EarlyStopping`?"),
        ([{"early_stopping": {}}], "callbacks.0", "did you mean `EarlyStopping`?"),
        ([{"EarlyStopping": {"patienc": 2}}], "callbacks.0", "unexpected keyword argument 'patienc'"),
        ([{"LearningRateScheduler": None}], "callbacks.0", "'schedule'"),
    ],
)
def test_callbacks_that_keras_does_not_have(value: Any, field: str, words: str) -> None:
    problem = refusal(keras_objects.callbacks, value, NOWHERE)
    assert problem.field == field
    assert words in str(problem)


def test_layers_make_a_sequential_model() -> None:
    model = keras_objects.build_layers(
        [{"Input": {"shape": [4]}}, {"Dense": {"units": 3, "activation": "relu"}}, {"Flatten": None}]
    )
    assert model.built
    assert model.input_shape == (None, 4)
    assert [type(layer).__name__ for layer in model.layers] == ["Dense", "Flatten"]
    assert model.count_params() == 15


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ({"Dens": {"units": 2}}, "did you mean `Dense`?"),
        ({"dense": {"units": 2}}, "did you mean `Dense`?"),
        ({"Dense": None}, "missing 1 required positional argument: 'units'"),
        ({"Dense": {"units": "two"}}, "expected a positive integer"),
        ({"Dense": {"units": -1}}, "expected a positive integer"),
        ({"Dense": {"units": 2, "unit": 3}}, "{'unit': 3}"),
        ({"Dense": {"units": 2, "activation": "relux"}}, "relux"),
        ({"Dense": {"units": 2, "kernel_regularizer": {"a": 1}}}, "config={'a': 1}"),
        ({"Dense": {"units": 2, "kernel_initializer": {"class_name": "Glorot", "config": {}}}}, "Glorot"),
        ({"Dense": {"units": 2, "dtype": "float31"}}, "float31"),
        ({"Input": {"shape": 64}}, "Cannot convert '64' to a shape"),
        ({"Input": {}}, "shape"),
        ({"Bidirectional": {"layer": {"LSTM": {"units": 3}}}}, "Please initialize `Bidirectional` layer"),
        ({"ops": None}, "a name in Keras"),
    ],
    ids=str,
)
def test_a_layer_that_keras_does_not_take_is_refused_where_it_stands(layer: dict[str, Any], words: str) -> None:
    problem = refusal(keras_objects.build_layers, [{"Flatten": None}, layer])
    assert problem.field == "model.layers.1"
    assert words in str(problem)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([{"Input": {"shape": [4]}}, {"Conv2D": {"filters": 2, "kernel_size": 3}}], "expected min_ndim=4"),
        ([{"Input": {"shape": [4]}}, {"Reshape": {"target_shape": [3]}}], "total size of the tensor"),
        ([{"Input": {"shape": [4]}}, {"Add": {}}], "A merge layer should be called on a list of inputs"),
    ],
)
def test_layers_that_do_not_follow_from_one_another_are_refused(layers: Any, words: str) -> None:
    problem = refusal(keras_objects.build_layers, layers)
    assert problem.field == "model.layers"
    assert words in problem.got


def test_a_bfloat16_model_comes_back_from_its_checkpoint_to_the_bit(tmp_path: Path) -> None:
    def model() -> keras.Model:
        made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dropout(0.5)])
        made.compile("adam", "mse")
        made.optimizer.build(made.trainable_variables)
        return made

    keras.config.set_dtype_policy("bfloat16")
    try:
        first, second = model(), model()
    finally:
        keras.config.set_dtype_policy("float32")
    variables = [[*each.variables, *each.optimizer.variables] for each in (first, second)]
    saved = [np.asarray(variable) for variable in variables[0]]
    assert {array.dtype.name for array in saved} > {"bfloat16"}
    snapshot = read(write(tmp_path, Snapshot(epoch=0, variables=saved, best_weights=None, state={}), keep=1))
    assign_all(variables[1], snapshot.variables)
    for ours, theirs in zip(variables[1], variables[0], strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
