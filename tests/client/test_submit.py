"""Tests of what is decided before anything is sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from raytrain.client.cluster_runs import dashboard_page
from raytrain.client.submit import prepare
from raytrain.client.where_stored import storage_for, stored_where_said
from raytrain.cluster.address import Address
from raytrain.errors import NotFound, SpecError
from raytrain.spec.load import LoadedJob, load_job
from tests.conftest import MakeFolder
from tests.flowers import flower_spec
from tests.saved_models import write_saved_model

Environ = dict[str, str]
JOB = "name: digits\nmodel: model.py:build_model\ndata: {train: {sklearn: digits}, features: image, label: digit}\n"


def load(folder: Path, *overrides: str) -> LoadedJob:
    return load_job(str(folder), overrides=overrides)


@pytest.fixture
def folder(make_folder: MakeFolder) -> Path:
    return make_folder(
        {"job.yaml": JOB, "model.py": "def build_model(): ...\n", "runs/old/events.jsonl": "", "a.csv": ""}
    )


def test_runs_kept_inside_of_the_folder_do_not_travel(folder: Path, environ: Environ) -> None:
    inside = prepare(load(folder, "storage=runs"), environ)
    elsewhere = prepare(load(folder, "storage=~/x", "environment.exclude=['*.csv']"), environ)

    assert [file.path for file in inside.plan.files] == ["a.csv", "job.yaml", "model.py"]
    assert [file.path for file in elsewhere.plan.files] == ["job.yaml", "model.py", "runs/old/events.jsonl"]


def test_the_base_model_is_found_before_a_cluster_is_asked(folder: Path, environ: Environ) -> None:
    write_saved_model(folder / "base.keras")

    assert prepare(load(folder, "init_from=base.keras"), environ).base_model == folder / "base.keras"
    with pytest.raises(NotFound, match="no run nowhere-1"):
        prepare(load(folder, "init_from=nowhere-1"), environ)


def test_secrets_are_refused_before_a_cluster_is_asked(folder: Path, environ: Environ) -> None:
    with pytest.raises(SpecError, match="HF_TOKEN"):
        prepare(load(folder, "environment.env_vars={HF_TOKEN: hunter2}"), environ)


def test_storage_is_this_machines_only_where_the_cluster_is() -> None:
    folder = Path("/jobs/digits")

    assert storage_for("~/raytrain", folder, shares_this_machine=True) == str(Path.home() / "raytrain")
    assert storage_for("../runs", folder, shares_this_machine=True) == "/jobs/runs"
    assert storage_for("/nfs/runs", folder, shares_this_machine=True) == "/nfs/runs"
    assert storage_for("~/raytrain", folder, shares_this_machine=False) == "~/raytrain"


def test_the_page_of_a_run() -> None:
    assert dashboard_page("http://h:8265", "digits-1") == "http://h:8265/#/jobs/digits-1"


def test_the_storage_of_a_context_is_for_jobs_that_name_none() -> None:
    there = Address(url="http://head:8265", source="context prod", is_loopback=False, storage="s3://bucket/runs")
    spec = flower_spec()
    own = spec.model_copy(update={"storage": "/nfs/runs"})

    assert stored_where_said(spec, there).storage == "s3://bucket/runs"
    assert stored_where_said(own, there).storage == "/nfs/runs"
    assert stored_where_said(spec, replace(there, storage=None)).storage == "~/raytrain"
