"""Exports a run's model for another runtime: in a child process, written aside, and renamed once it is proven."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from raytrain import errors
from raytrain.client.check_processes import child_environment, last_words
from raytrain.client.run_directory import pull
from raytrain.client.upload.base_model import saved_model
from raytrain.errors import Problem, RaytrainError, UsageError
from raytrain.export_protocol import FORMATS, MODULE, Exported, ExportRequest, Format
from raytrain.run.run_paths import RunPaths

if TYPE_CHECKING:
    from raytrain.client.registry import RunRecord

Progress = Callable[[str], None]


def export(
    record: RunRecord,
    *,
    format: str,
    output: str | os.PathLike[str] | None = None,
    without_preprocessing: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Writes a run's model, with its preprocessing inside, into a folder with its card.

    Args:
        record: the run.
        format: `keras`, `tf_saved_model`, `onnx`, `litert` or `weights`.
        output: the folder; `export/FORMAT` in the run's directory when left out, or, where that is in an object store,
            `RUN-FORMAT` in the current one.
        without_preprocessing: the model alone, fed what the preprocessing steps make.
        overwrite: an export that is there is replaced, once the new one is proven.
        progress: told in a few words what is being done.

    Raises:
        UsageError: there is no such format, it cannot express the model, a package is missing, or the folder is there.
        NotFound: the run has saved no model, or no rows of its data can be read here.
        UserCodeError: Keras cannot load the model, or the export answers otherwise than the model.
    """
    tell = progress or (lambda _: None)
    name = _format(format)
    saved_model(record)
    paths = RunPaths.of(record.storage, record.run)
    for file in (paths.spec, paths.package, paths.preprocessing, paths.events, paths.request):
        pull(paths, file)
    target = _target(paths, name, output)
    if os.path.lexists(target) and not overwrite:
        fix = "--overwrite replaces it, --output names another"
        raise UsageError(Problem(got=f"{target}, which is there already", expected="a folder that is not", fix=fix))
    aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        tell(f"exporting the model of {record.run} as {name}; TensorFlow takes some seconds to start")
        request = ExportRequest(
            directory=str(paths.root),
            shown=paths.shown(),
            folder=str(aside),
            format=name,
            without_preprocessing=without_preprocessing,
        )
        exported = _in_a_child(request)
        _put_in_place(aside, target)
    except OSError as error:
        got = f"{error.strerror or error} for {target}"
        fix = "--output names another folder"
        raise UsageError(Problem(got=got, expected="a folder that can be written", fix=fix)) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    artifact = target / Path(exported.artifact).name
    return replace(exported, path=str(target), artifact=str(artifact))


def _format(format: str) -> Format:
    for known in FORMATS:
        if known == format:
            return known
    fix = "LiteRT is the name of what was TensorFlow Lite: litert" if "lite" in format.lower() else ""
    raise UsageError(Problem(got=f"the format {format!r}", expected=f"one of {', '.join(FORMATS)}", fix=fix))


def _target(paths: RunPaths, format: Format, output: str | os.PathLike[str] | None) -> Path:
    if output is not None:
        return Path(output).expanduser().absolute()
    return paths.exports / format if paths.uri is None else Path.cwd() / f"{paths.run}-{format}"


def _in_a_child(request: ExportRequest) -> Exported:
    environ = child_environment(os.environ, {})
    done = subprocess.run(
        [sys.executable, "-P", "-m", MODULE],
        input=request.model_dump_json(),
        capture_output=True,
        text=True,
        check=False,
        env=environ,
    )
    said = json.loads(done.stdout) if done.stdout else {}
    if "exported" in said:
        return Exported.from_dict(said["exported"])
    if said:
        kind: type[RaytrainError] = getattr(errors, said["kind"])
        raise kind(*(Problem(**problem) for problem in said["problems"]))
    words = last_words(done.stderr)
    raise RuntimeError(f"the process that exports ended with exit code {done.returncode}; its last words: {words}")


def _put_in_place(aside: Path, target: Path) -> None:
    if os.path.lexists(target):
        old = target.with_name(f".{target.name}.{os.getpid()}.old.tmp")
        target.rename(old)
        aside.rename(target)
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    else:
        aside.rename(target)
