"""Tests of how the model that a run starts from is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raytrain.client.registry import RunRecord
from raytrain.client.upload.base_model import base_model_of
from raytrain.errors import NotFound, Problem, SpecError
from raytrain.spec.job import JobSpec
from raytrain.spec.request import base_model_file
from tests.saved_models import OWN, write_saved_model


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
    write_saved_model(tmp_path / "runs/digits-1/model.keras")
    (tmp_path / "runs/failed-1").mkdir()
    (tmp_path / "runs/own-1").mkdir()
    write_saved_model(tmp_path / "base.keras")
    write_saved_model(tmp_path / "runs/own-1/model.keras", OWN)
    (tmp_path / "old").write_bytes(b"\x89HDF\r\n\x1a\n")
    return tmp_path / "runs"


def base_of(job: JobSpec, storage: Path) -> Path | None:
    def find(ref: str) -> RunRecord:
        if ref in ("digits-1", "failed-1", "own-1"):
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
        ({"init_from": "own-1"}, "runs/own-1/model.keras"),
        ({"init_from": "old"}, "old"),
    ],
)
def test_a_file_or_a_run(storage: Path, fields: dict[str, Any], path: str) -> None:
    assert base_of(spec(**fields), storage) == storage.parent / path
    absolute = {"init_from": str(storage.parent / "base.keras")}
    assert base_of(spec(**absolute), storage) == storage.parent / "base.keras"


@pytest.mark.parametrize(
    ("fields", "kind", "says"),
    [
        ({"init_from": "none.keras"}, SpecError, "which does not exist"),
        ({"model": {"file": "none.keras"}}, SpecError, "which does not exist"),
        ({"init_from": "wine-1"}, NotFound, "no run wine-1"),
        ({"init_from": "failed-1"}, NotFound, "whose model is not at"),
        ({"model": {"run": "own-1"}}, SpecError, "the model of own-1 with shop>Squash"),
        ({"init_from": "digits-1", "model": {"file": "base.keras"}}, SpecError, "one model to start from"),
    ],
)
def test_what_is_missing(storage: Path, fields: dict[str, Any], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        base_of(spec(**fields), storage)


def test_a_copy_keeps_the_suffix_that_its_content_asks_for(storage: Path) -> None:
    files = [base_model_file(storage.parent / name) for name in ("base.keras", "old")]
    assert files == [".raytrain/base.keras", ".raytrain/base.h5"]
