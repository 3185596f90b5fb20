"""Tests of how the model that a run starts from is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raytrain.client.registry import RunRecord
from raytrain.client.upload.base_model import base_model_of
from raytrain.errors import NotFound, Problem, SpecError
from raytrain.spec.job import JobSpec


def spec(**fields: Any) -> JobSpec:
    body: dict[str, Any] = {
        "name": "digits",
        "model": "model.py:build_model",
        "data": {"train": {"sklearn": "digits"}},
    }
    return JobSpec.model_validate(body | fields)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    (tmp_path / "runs/digits-1").mkdir(parents=True)
    (tmp_path / "runs/digits-1/model.keras").write_text("model")
    (tmp_path / "runs/failed-1").mkdir()
    (tmp_path / "base.keras").write_text("base")
    return tmp_path / "runs"


def base_of(job: JobSpec, storage: Path) -> Path | None:
    def find(ref: str) -> RunRecord:
        if ref in ("digits-1", "failed-1"):
            return RunRecord(run=ref, storage=str(storage))
        raise NotFound(Problem(got=f"no run {ref}", expected="a run"))

    return base_model_of(job, storage.parent, find)


def test_none_is_named(storage: Path) -> None:
    assert base_of(spec(), storage) is None


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"init_from": "base.keras"}, "base.keras"),
        ({"init_from": "digits-1"}, "runs/digits-1/model.keras"),
        ({"model": {"file": "base.keras"}}, "base.keras"),
        ({"model": {"run": "digits-1"}}, "runs/digits-1/model.keras"),
    ],
)
def test_a_file_or_a_run(storage: Path, fields: dict[str, Any], path: str) -> None:
    assert base_of(spec(**fields), storage) == storage.parent / path
    absolute = {"init_from": str(storage.parent / "base.keras")}
    assert base_of(spec(**absolute), storage) == storage.parent / "base.keras"


@pytest.mark.parametrize(
    ("fields", "kind", "says"),
    [
        ({"init_from": "none.keras"}, SpecError, "no such file"),
        ({"model": {"file": "none.keras"}}, SpecError, "no such file"),
        ({"init_from": "wine-1"}, NotFound, "no run wine-1"),
        ({"init_from": "failed-1"}, NotFound, "whose model is not at"),
        ({"init_from": "digits-1", "model": {"file": "base.keras"}}, SpecError, "one model to start from"),
    ],
)
def test_what_is_missing(storage: Path, fields: dict[str, Any], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        base_of(spec(**fields), storage)
