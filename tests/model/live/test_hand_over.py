"""What travels with a model, and what is refused by its name before anything is started."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf

from raytrain.errors import SpecError, UsageError
from raytrain.model.live import by_value
from raytrain.model.live.hand_over import check_model, packed


class Logger(keras.callbacks.Callback):  # type: ignore[misc]
    """Holds whatever it is made with."""

    def __init__(self, held: Any) -> None:
        super().__init__()
        self.held = held


class Opaque(keras.layers.Layer):  # type: ignore[misc]
    """Says nothing of how to make it again."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function


class OwnCompile(keras.Sequential):  # type: ignore[misc]
    def compile(self, *args: Any, **kwargs: Any) -> None:
        super().compile(*args, **kwargs)


def model(*layers: keras.Layer, kind: Any = keras.Sequential, loss: Any = "mse") -> keras.Model:
    made = kind([keras.Input((2,)), *layers, keras.layers.Dense(1)])
    made.compile("sgd", loss)
    made.optimizer.build(made.trainable_variables)
    return made


def files(made: keras.Model, *callbacks: Any, here: bool = True) -> dict[str, bytes]:
    return dict(packed(made, callbacks, shares_this_machine=here))


def test_what_cannot_travel_is_refused_by_its_name(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as open_file:
        with pytest.raises(SpecError, match=r"callbacks: got Logger.held \(TextIOWrapper\), which cannot travel"):
            files(model(), Logger(1), Logger(open_file))
        with pytest.raises(SpecError, match=r"`open_file` of loss\(\) \(TextIOWrapper\)"):

            def loss(y: Any, p: Any) -> Any:
                open_file.write("")
                return y - p

            files(model(loss=loss))
    with pytest.raises(SpecError, match=r"Logger.held \(lock\)"):
        files(model(), Logger(threading.Lock()))


def test_a_model_that_cannot_be_made_again_is_refused() -> None:
    with pytest.raises(SpecError, match="Opaque"):
        files(model(Opaque(print)))
    with pytest.raises(SpecError, match=r"compile\(\) of its own"):
        files(model(kind=OwnCompile))


def test_two_classes_of_one_name_are_refused() -> None:
    def layer() -> Any:
        class Twin(keras.layers.Layer):  # type: ignore[misc]
            pass

        return Twin()

    with pytest.raises(SpecError, match="two of the name Twin"):
        files(model(layer(), layer()))


def test_a_file_that_would_lie_on_a_node_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    logger = keras.callbacks.CSVLogger("log.csv")
    with pytest.raises(SpecError, match=r"writes to log.csv, which would lie on a node"):
        files(model(), logger, here=False)

    made = model()
    handed = by_value.loads(files(made, logger)["objects.pkl"], by_value.parts_of(made) | {"optimizer": made.optimizer})

    assert handed["callbacks"][0].filename == str(tmp_path / "log.csv")
    assert logger.filename == "log.csv"


def test_what_model_fit_could_not_train_is_refused() -> None:
    plain = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        mirrored = model()
    for wrong, words in ((plain, "not compiled"), (mirrored, "MirroredStrategy"), ("model", "a builtins.str")):
        with pytest.raises(UsageError, match=words):
            check_model(wrong, [])
    with pytest.raises(UsageError, match=r"callbacks\[0\], a function"):
        check_model(model(), [lambda: None])


def test_a_traceback_names_the_line_of_the_live_code() -> None:
    def fails() -> None:
        raise ValueError

    with pytest.raises(ValueError) as failed:
        by_value.loads(by_value.dumps(fails, {}), {})()

    frame = failed.traceback[-1]
    assert (str(frame.path), frame.lineno) == (__file__, fails.__code__.co_firstlineno)


def test_parts_of_the_model_stand_for_themselves() -> None:
    ours, theirs = model(), model()
    logger = Logger({"model": ours, "layer": ours.layers[0], "kernel": ours.layers[0].kernel})
    logger.set_model(ours)

    back = by_value.loads(by_value.dumps(logger, by_value.parts_of(ours)), by_value.parts_of(theirs))

    assert back.held["model"] is theirs
    assert back.held["layer"] is theirs.layers[0]
    assert back.held["kernel"] is theirs.layers[0].kernel


def test_code_that_only_this_process_has_travels_by_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package on this process' path alone, with a module of it that the class needs."""
    (tmp_path / "only_here").mkdir()
    (tmp_path / "only_here/__init__.py").write_text("from only_here.inner import twice\n")
    (tmp_path / "only_here/inner.py").write_text("def twice(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    function = importlib.import_module("only_here").twice
    with by_value.own_modules_by_value(shares_this_machine=True):
        content = by_value.dumps(function, {})
    (tmp_path / "f.pkl").write_bytes(content)
    program = f"import pickle; print(pickle.load(open({str(tmp_path / 'f.pkl')!r}, 'rb'))(21))"

    done = subprocess.run([sys.executable, "-c", program], cwd="/", capture_output=True, text=True, check=True)

    assert done.stdout == "42\n"


@pytest.mark.parametrize(
    ("name", "here", "own"),
    [("keras", False, False), ("json", False, False), ("pytest", False, True), ("pytest", True, False)],
)
def test_which_modules_the_cluster_has(name: str, here: bool, own: bool) -> None:
    module = sys.modules.get(name) or __import__(name)
    assert by_value.is_own(module, shares_this_machine=here) is own
    assert not by_value.is_own(types.ModuleType("__main__"), shares_this_machine=here)
