"""How runs were submitted, as their directories and the machine that submitted them keep it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path

from raytrain.client.registry import RunRecord
from raytrain.errors import NotFound, Problem
from raytrain.files import state_dir, write_whole
from raytrain.run.run_paths import RunPaths
from raytrain.spec.request import JobRequest


def keep_request(request: JobRequest, environ: Mapping[str, str]) -> None:
    """Remembers how a run was submitted, for when its directory is out of this machine's sight.

    Raises:
        OSError: it cannot be written.
    """
    path = _kept(request.run, environ)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, request.model_dump_json())


def forget_request(run: str, environ: Mapping[str, str] | None = None) -> None:
    """Raises OSError where it cannot be removed."""
    _kept(run, os.environ if environ is None else environ).unlink(missing_ok=True)


def submitted_request(record: RunRecord, environ: Mapping[str, str] | None = None) -> JobRequest:
    """How the run was submitted last.

    Raises:
        NotFound: neither its directory nor this machine has it.
    """
    places = [_kept(record.run, os.environ if environ is None else environ)]
    if record.storage:
        places.insert(0, RunPaths.of(record.storage, record.run).request)
    found: list[JobRequest] = []
    for place in places:
        with contextlib.suppress(OSError, ValueError):
            found.append(JobRequest.model_validate_json(place.read_text()))
    if found:  # a driver that died before it wrote its own leaves that of the attempt before in the directory
        return max(found, key=attrgetter("attempt"))
    raise NotFound(
        Problem(
            got=f"no account of how {record.run} was submitted",
            expected=f"{places[0]}, which the run's driver writes",
            fix="--storage names the directory that holds the runs' directories",
        )
    )


def _kept(run: str, environ: Mapping[str, str]) -> Path:
    return state_dir(environ) / "requests" / f"{run}.json"
