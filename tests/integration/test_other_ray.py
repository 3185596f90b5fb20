"""A Ray that lacks every private place that raytrain knows: a run on it takes longer and ends the same."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from raytrain.ray_internals import USES
from tests.integration.conftest import JOBS, Cli
from tests.integration.test_tiers import events

# Python imports it in every process of the job before anything else.
SITECUSTOMIZE = """
import dataclasses, sys
from raytrain import ray_internals as known

sys.modules["raytrain.driver.train_controller"] = None  # which imports what is not there

for name, use in list(vars(known).items()):
    if isinstance(use, known.Use):
        setattr(known, name, dataclasses.replace(use, places=(*use.places, "ray:gone")))
known.USES = tuple(use for use in vars(known).values() if isinstance(use, known.Use))
"""


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    """The environment of a job whose Ray lacks all of it."""
    (tmp_path / "sitecustomize.py").write_text(SITECUSTOMIZE)
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths)}


@pytest.mark.thorough
def test_a_run_that_loses_a_worker_gives_the_same_answer(cli: Cli, elsewhere: dict[str, str], tmp_path: Path) -> None:
    job = Path(shutil.copytree(JOBS / "digits", tmp_path / "digits"))
    wanted = ("--set", "fit.epochs=4", "--set", "data.cache=streaming")
    usual = cli.submit(job, *wanted)
    fault = {"RAYTRAIN_FAULT": "rank=1,epoch=2,step=3,kind=kill", "RAYTRAIN_ALLOW_FAULTS": "1"}
    other = cli.submit(job, *wanted, "--set", f"environment.env_vars={json.dumps(elsewhere | fault)}")
    assert (other["status"], other["restarts"], usual["restarts"]) == ("SUCCEEDED", 1, 0)
    assert [other["metrics"], other["test"]] == [usual["metrics"], usual["test"]]
    assert warnings_of_ray(usual) == []
    [warning] = warnings_of_ray(other)
    assert all(use.without in warning for use in USES)


def warnings_of_ray(result: dict[str, Any]) -> list[str]:
    return [event["message"] for event in events(result, "warned") if event["message"].startswith("Ray ")]
