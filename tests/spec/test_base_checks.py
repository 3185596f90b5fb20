from __future__ import annotations

import zipfile

import pytest

from raytrain.errors import Problem
from tests.saved_models import LAMBDA, OWN, write_saved_model
from tests.spec.conftest import JOB_YAML, Write, accepted, refused

FILE = JOB_YAML.replace("model: model.py:build_model", "model: {file: base.keras}")
FROM = JOB_YAML.replace("model: model.py:build_model", "model: net.py:head\ninit_from: base.keras")
HEAD = "def head(base): return base\ndef loss(a, b): return a\n"


@pytest.mark.parametrize(
    ("layer", "got", "fix"),
    [
        (OWN, "base.keras with shop>Squash, which is none of Keras' own, in a job without Python", "init_from"),
        (LAMBDA, "base.keras with a Lambda layer", "keras.config.enable_unsafe_deserialization()"),
        ({"class_name": "Bidirectional", "config": {"layer": OWN}}, "base.keras with shop>Squash", "init_from"),
    ],
)
def test_what_only_the_users_python_can_load(layer: dict[str, object], got: str, fix: str, write_job: Write) -> None:
    folder = write_job(FILE)
    write_saved_model(folder / "base.keras", layer)
    [problem] = refused(folder)
    assert problem.field == "model.file"
    assert got in problem.got
    assert fix in problem.fix
    folder = write_job(FROM, net__py=HEAD)
    accepted(folder)
    accepted(write_job(FILE + "compile: {loss: net.py:loss}\n"))


@pytest.mark.parametrize(
    "part",
    [
        {"module": "keras_hub.src.models", "class_name": "B", "config": {}, "registered_name": "keras_hub>B"},
        {"module": "keras.src.models.functional", "class_name": "Functional", "registered_name": "Functional"},
        {"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "function"},
        {"class_name": "Functional", "compile_config": {"loss": OWN}, "build_config": {"class_name": "__lambda__"}},
    ],
)
def test_what_keras_has_itself_needs_no_python(part: dict[str, object], write_job: Write) -> None:
    folder = write_job(FILE)
    write_saved_model(folder / "base.keras", part)
    accepted(folder)


def problem_with(content: bytes, write_job: Write, *, name: str = "base.keras") -> Problem:
    folder = write_job(FILE.replace("base.keras", name))
    (folder / name).write_bytes(content)
    [problem] = refused(folder)
    return problem


HDF5 = b"\x89HDF\r\n\x1a\n and more"


@pytest.mark.parametrize("name", ["base.h5", "base.hdf5", "base", "base.keras"])
def test_older_files_are_known_by_what_they_hold(name: str, write_job: Write) -> None:
    folder = write_job(FROM.replace("base.keras", name), net__py=HEAD)
    (folder / name).write_bytes(HDF5)
    accepted(folder)


def test_what_is_no_saved_model(write_job: Write) -> None:
    assert problem_with(b"text", write_job).got == "base.keras, which is neither"
    weights = problem_with(HDF5, write_job, name="base.weights.h5")
    assert weights.got == "base.weights.h5, weights without a model"
    folder = write_job(FILE)
    with zipfile.ZipFile(folder / "base.keras", "w") as archive:
        archive.writestr("notes.txt", "")
    [problem] = refused(folder)
    assert (problem.file, problem.expected) == ("base.keras", "a saved model")


def test_a_folder_is_no_model_that_keras_trains(write_job: Write) -> None:
    folder = write_job(FILE.replace("base.keras", "saved"))
    (folder / "saved").mkdir()
    [problem] = refused(folder)
    assert problem.got == "saved, a folder, which Keras 3 cannot train"


@pytest.mark.parametrize("name", ["bas.h5", "base.hdf5"])
def test_a_file_that_is_not_there(name: str, write_job: Write) -> None:
    folder = write_job(FROM.replace("base.keras", name), net__py=HEAD)
    (folder / "base.h5").write_bytes(HDF5)
    [problem] = refused(folder)
    assert (problem.field, problem.got) == ("init_from", f"{name}, which does not exist")
    assert "`base.h5`?" in problem.fix
