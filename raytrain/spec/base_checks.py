"""Static checks of the saved model that a job starts from, without Keras."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from raytrain.errors import Problem, SpecError
from raytrain.spec.file_errors import local_path, looking_up
from raytrain.spec.job import JobSpec
from raytrain.spec.line_numbers import LineNumbers, Loc
from raytrain.spec.peek.saved_model import SUFFIXES, inspect_saved_model
from raytrain.spec.python_refs import worker_refs
from raytrain.spec.suggest import did_you_mean

EXPECTED = "a saved .keras or .h5 file"


def base_problems(spec: JobSpec, folder: Path, lines: LineNumbers) -> Iterator[Problem]:
    """What is wrong with the files that `model.file` and `init_from` name; runs are looked for later."""
    named: tuple[tuple[Loc, str | None], ...] = ((("model", "file"), spec.model.file), (("init_from",), spec.init_from))
    for loc, name in named:
        if name is None:
            continue
        try:
            if loc[-1] == "file" or names_a_file(name, folder):
                check_saved_model(find_saved_model(name, folder), name, spec)
        except SpecError as error:
            yield from (lines.located(problem, loc) for problem in error.problems)


def names_a_file(value: str, folder: Path) -> bool:
    """Whether `init_from` means a file rather than a run."""
    with looking_up(value):
        return value.endswith(SUFFIXES) or (folder / local_path(value)).is_file()


def find_saved_model(name: str, folder: Path) -> Path:
    """The file of that name.

    Raises:
        SpecError: it is not there, or a folder.
    """
    path = folder / local_path(name)
    with looking_up(name):
        if path.is_file():
            return path
        if path.is_dir():
            fix = "save the model with model.save('base.keras')"
            raise SpecError(Problem(got=f"{name}, a folder, which Keras 3 cannot train", expected=EXPECTED, fix=fix))
    near = did_you_mean(path.name, [item.name for suffix in SUFFIXES for item in path.parent.glob(f"*{suffix}")])
    raise SpecError(Problem(got=f"{name}, which does not exist", expected=EXPECTED, fix=near))


def check_saved_model(path: Path, shown: str, spec: JobSpec) -> None:
    """Refuses a file that no worker could load for this job.

    Args:
        shown: the file as the user named it.

    Raises:
        SpecError: Keras cannot load it, or it needs code of the user's and the job has none.
    """
    found = inspect_saved_model(path, shown)
    if not found.suffix:
        raise SpecError(Problem(got=f"{shown}, which is neither", expected=EXPECTED))
    if path.name.endswith(".weights.h5"):
        fix = "save the model with model.save('base.keras'), or load the weights in your model function"
        raise SpecError(Problem(got=f"{shown}, weights without a model", expected=EXPECTED, fix=fix))
    if next(worker_refs(spec), None) is not None:
        return
    if found.own_classes:
        raise SpecError(
            Problem(
                got=f"{shown} with {found.own_classes[0]}, which is none of Keras' own, in a job without Python",
                expected="the Python that it is defined in",
                fix="model: FILE.py:FUNCTION, with a parameter `base`, in the file that defines it, and init_from",
            )
        )
    if found.has_lambda:
        raise SpecError(
            Problem(
                got=f"{shown} with a Lambda layer, whose code Keras runs only where that is allowed",
                expected="a job whose Python allows it",
                fix="model: FILE.py:FUNCTION, with a parameter `base`, in a file that calls"
                " keras.config.enable_unsafe_deserialization(), and init_from",
            )
        )
