"""Exports a run's model: the request as JSON on standard input, what was exported as JSON on standard output.

Runs in: a child process of the client, which ends with the export: converters print, and may crash.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from raytrain.errors import RaytrainError
from raytrain.export_protocol import CARD, Exported, ExportRequest
from raytrain.run.run_paths import RunPaths
from raytrain.spec.job import JobSpec


def export(request: ExportRequest) -> Exported:
    """Writes the artifact and its card into the folder of the request.

    Raises:
        UsageError: the format cannot express the model or a step.
        NotFound: no rows can be read that would tell the columns' types.
        UserCodeError: Keras cannot load the model, or the artifact gives other answers than the model.
    """
    from raytrain.model.export.model_card import CardSources, model_card
    from raytrain.model.export.proven import export_proven

    paths = RunPaths(Path(request.directory))
    spec = JobSpec.model_validate_json(paths.spec.read_text())
    with tempfile.TemporaryDirectory(prefix="raytrain-export-") as place:
        folder = Path(place)
        if paths.package.is_file():
            with zipfile.ZipFile(paths.package) as archive:
                archive.extractall(folder)
        with contextlib.chdir(folder):  # where the job's own data code expects to be
            exported, pipeline = export_proven(request, paths, spec, folder)
    card = model_card(exported, CardSources.of(paths, spec, request.shown), pipeline)
    (Path(request.folder) / CARD).write_text(card, encoding="utf-8")
    return exported


def main() -> int:
    request = ExportRequest.model_validate_json(sys.stdin.read())
    out = os.dup(1)
    os.dup2(2, 1)  # what converters and the user's own code print is no JSON
    said: dict[str, Any]
    with contextlib.redirect_stdout(sys.stderr):
        try:
            said = {"exported": export(request).to_dict()}
        except RaytrainError as error:
            said = {"kind": type(error).__name__, "problems": [vars(problem) for problem in error.problems]}
    with os.fdopen(out, "w") as stream:
        json.dump(said, stream)
    return 0


if __name__ == "__main__":
    sys.exit(main())
