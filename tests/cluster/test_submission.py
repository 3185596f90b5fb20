"""Tests of what is handed to Ray."""

from __future__ import annotations

from typing import Any

import pytest

from raytrain.cluster.submission import FINGERPRINT, Submission, build_submission
from raytrain.errors import SpecError
from raytrain.spec.describe_job import data_words, model_words
from raytrain.spec.job import JobSpec
from raytrain.spec.request import JobRequest


def spec(**fields: Any) -> JobSpec:
    body: dict[str, Any] = {
        "name": "digits",
        "model": "model.py:build_model",
        "data": {"train": {"sklearn": "digits"}},
        "fit": {"epochs": 10},
        "scaling": {"workers": 2},
    }
    return JobSpec.model_validate(body | fields)


def request(job: JobSpec | None = None, **fields: Any) -> JobRequest:
    body: dict[str, Any] = {
        "run": "digits-20261120-0715-4f2a",
        "attempt": 1,
        "submitted_at": 1.0,
        "spec": job or spec(),
        "storage": "/runs",
    }
    return JobRequest(**(body | fields))


def build(job: JobRequest | None = None, *, working_dir_uri: str = "gcs://w.zip", **arguments: Any) -> Submission:
    return build_submission(job or request(), working_dir_uri=working_dir_uri, raytrain_uri="gcs://r.zip", **arguments)


def test_the_whole_of_it() -> None:
    submission = build(commit="55c694e")

    assert submission.submission_id == "digits-20261120-0715-4f2a"
    assert submission.entrypoint == "python -m raytrain.driver"
    assert submission.runtime_env == {
        "working_dir": "gcs://w.zip",
        "py_modules": ["gcs://r.zip"],
        "env_vars": {
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "RAY_TRAIN_V2_ENABLED": "1",
            "RAY_TRAIN_ENABLE_STATE_TRACKING": "1",
            "RAY_JOB_STOP_WAIT_TIME_S": "600",
        },
    }
    readable = {key: value for key, value in submission.metadata.items() if key != FINGERPRINT}
    assert readable == {
        "job_name": "digits",
        "raytrain_run": "digits-20261120-0715-4f2a",
        "raytrain_attempt": "1",
        "workers": "2",
        "resources_per_worker": "1 CPU",
        "model": "python: model.py:build_model",
        "data": "sklearn: digits",
        "epochs": "10",
        "global_batch_size": "32",
        "storage": "/runs",
        "owner": "unknown",
        "commit": "55c694e",
        "raytrain_version": readable["raytrain_version"],
        "report": "/runs/digits-20261120-0715-4f2a/report.html",
    }


def test_owner_and_board_are_told_where_they_are_known() -> None:
    metadata = build(owner="ada", board="http://grafana/d/raytrain").metadata
    assert (metadata["owner"], metadata["board"]) == ("ada", "http://grafana/d/raytrain")


def test_a_later_attempt_has_an_id_of_its_own() -> None:
    assert build(request(attempt=2)).submission_id == "digits-20261120-0715-4f2a-a2"


def test_the_users_environment_wins_and_pip_is_asked_for() -> None:
    job = spec(environment={"env_vars": {"TF_CPP_MIN_LOG_LEVEL": "0", "MINE": "1"}, "pip": ["einops==0.8"]})
    submission = build(request(job))

    assert submission.runtime_env["env_vars"]["TF_CPP_MIN_LOG_LEVEL"] == "0"
    assert submission.runtime_env["env_vars"]["MINE"] == "1"
    assert submission.runtime_env["pip"] == ["einops==0.8"]


def test_this_python_is_found_on_a_cluster_of_this_machine() -> None:
    own_path = spec(environment={"env_vars": {"PATH": "/opt/bin:${PATH}"}})

    assert build(bin_dir="/venv/bin").runtime_env["env_vars"]["PATH"] == "/venv/bin:${PATH}"
    assert build(request(own_path), bin_dir="/v").runtime_env["env_vars"]["PATH"] == "/v:/opt/bin:${PATH}"
    assert "PATH" not in build().runtime_env["env_vars"]


def test_the_fingerprint_tells_submissions_apart() -> None:
    assert build().fingerprint == build().fingerprint
    assert build().fingerprint != build(working_dir_uri="gcs://other.zip").fingerprint
    assert build().fingerprint != build(request(storage="/other")).fingerprint


def test_a_secret_is_not_sent() -> None:
    with pytest.raises(SpecError):
        build(request(spec(environment={"env_vars": {"HF_TOKEN": "hunter2"}})))


def test_words_for_people() -> None:
    layers = [{"Input": {"shape": [64]}}, {"Dense": {"units": 1}}]
    compiled = {"loss": "mse"}

    assert model_words(spec(model={"layers": layers}, compile=compiled)) == "layers: Input, Dense"
    assert model_words(spec(model={"run": "@last"})) == "run: @last"
    assert data_words(spec(data={"train": {"inline": {"a": [1]}}})) == "inline"
    assert data_words(spec(data={"train": {"csv": ["a.csv", "b.csv"]}})) == "csv: a.csv, b.csv"
    words = [
        ({"images": "pictures"}, "images: pictures"),
        ({"images": {"path": ["a", "b"], "size": [2, 2]}}, "images: a, b"),
        ({"images": {"table": {"csv": "labels.csv"}, "size": [2, 2]}}, "images: labels.csv"),
        ({"numpy": {"x": "a.npy", "y": "b.npy"}}, "numpy: a.npy, b.npy"),
        ({"sql": {"query": "select 1", "connect": "data.py:connect"}}, "sql: select 1"),
        ({"iceberg": {"table": "a.b", "catalog": {"uri": "…"}}}, "iceberg: a.b"),
        ({"huggingface": "mnist"}, "huggingface: mnist"),
    ]
    for source, expected in words:
        assert data_words(spec(data={"train": source})) == expected
    assert len(data_words(spec(data={"train": {"csv": ["x" * 99, "y" * 99, "z" * 99]}}))) == 200
