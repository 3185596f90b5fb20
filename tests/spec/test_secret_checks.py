"""Secrets are refused wherever they stand in a job, named by their field, and never shown."""

from __future__ import annotations

from typing import Any

import pytest

from raytrain.errors import Problem
from raytrain.spec.job import JobSpec
from raytrain.spec.secret_checks import secret_problems
from tests.spec.conftest import Write, refused


def problems(**fields: Any) -> list[Problem]:
    body: dict[str, Any] = {"name": "a", "model": "model.py:f", "data": {"train": {"sklearn": "digits"}}}
    return secret_problems(JobSpec.model_validate(body | fields))


def of_variable(name: str, value: str) -> list[Problem]:
    return problems(environment={"env_vars": {name: value}})


@pytest.mark.parametrize(
    "name",
    [
        "API_KEY", "api_key", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "KEY", "DB_PASSWORD", "MYSECRET", "OPENAI_APIKEY",
        "DB_PASS", "MYSQL_PWD", "PGPASS", "GITHUB_PAT", "SSH_PASSPHRASE", "PASS",
    ],
)  # fmt: skip
def test_the_value_of_a_secret_variable(name: str) -> None:
    (problem,) = of_variable(name, "hunter2")
    assert problem.field == f"environment.env_vars.{name}"
    assert "hunter2" not in str(problem)
    assert f"${{{name.upper()}}}" in problem.fix


@pytest.mark.parametrize(
    "name",
    [
        "MONKEY", "KEYBOARD", "TOKENIZERS_PARALLELISM", "MAX_TOKENS", "SECRETARY", "HF_TOKEN_PATH", "KEY_COLUMN",
        "PATH", "PWD", "pwd", "COMPASS", "PASSAGE", "PATTERN", "PYTHONPATH", "BYPASS_CACHE",
    ],
)  # fmt: skip
def test_other_names_are_not_suspected(name: str) -> None:
    assert not of_variable(name, "x")


@pytest.mark.parametrize("value", ["${HF_TOKEN}", " ${OTHER_NAME} ", ""])
def test_a_reference_to_a_variable_of_the_cluster_is_fine(value: str) -> None:
    assert not of_variable("HF_TOKEN", value)


def test_part_of_a_secret_is_not() -> None:
    assert of_variable("HF_TOKEN", "abc${HF_TOKEN}")


@pytest.mark.parametrize(
    "uri",
    [
        "s3://AKIA:hunter2@b/x.csv",
        "s3://AKIA:hun/ter2@b/x.csv",
        "s3a://hunter2@b/x.csv",
        "hdfs://me:hunter2@nn:8020/x",
        "https://hunter2@host/x.csv",
        "https://me:hunter2@host/x@y.csv",
        "abfs://c@account/x?client_secret=hunter2",
        "s3://b/x.csv?endpoint_override=http://me:hunter2@host",
    ],
)
def test_a_uri_with_a_key(uri: str) -> None:
    for source, place in (
        ({"csv": uri}, "csv"),
        ({"parquet": ["a.parquet", uri]}, "parquet.1"),
        ({"delta": uri}, "delta"),
    ):
        (problem,) = problems(data={"train": source, "features": "x", "label": "y"})
        assert problem.field == f"data.train.{place}"
        assert "hun" not in str(problem)
        assert "by their role or their environment" in problem.fix
    assert of_variable("PLACE", f"at {uri}")
    assert problems(storage=uri)


@pytest.mark.parametrize(
    "uri",
    [
        "gs://anonymous@b/x.csv",
        "abfs://container@account.dfs.core.windows.net/x.csv",
        "hdfs://me@nn:8020/x",
        "hdfs://nn:8020/me@home/x",
        "s3://b/me@home:1/x.csv",
        "s3://b/x.csv?region=eu-west-1&endpoint_override=http://h:9000",
        "http://h:9000?at=me@home",
        "hf://datasets/me/set@main/x.csv",
        "github://me:set@main/x.csv",
        "sftp://me@host/x.csv",
        "me@home.csv",
    ],
)
def test_a_uri_without_one(uri: str) -> None:
    assert not problems(data={"train": {"csv": uri}, "features": "x", "label": "y"})
    assert not of_variable("PLACE", uri)


def test_rows_are_data() -> None:
    rows = [{"x": "https://me:word@host/"}]
    assert not problems(data={"train": {"inline": rows}, "features": "x", "label": "y"})


def test_packages() -> None:
    for given in (
        "git+https://hunter2@github.com/me/p",
        "p @ git+https://me:hunter2@host/p",
        "--index https://me:hunter2@host/",
    ):
        (problem,) = problems(environment={"pip": ["einops", given]})
        assert problem.field == "environment.pip.1"
        assert "hunter2" not in str(problem)
        assert "${NAME}" in problem.fix
    fine = ["einops==0.8", "git+ssh://git@github.com/me/p", "git+https://${GITHUB_PAT}@h/p", "git+https://me:${PW}@h/p"]
    assert not problems(environment={"pip": fine})


def test_the_properties_of_a_catalog() -> None:
    catalog = {
        "name": "prod",
        "uri": "https://host",
        "token": "hunter2",
        "s3.secret-access-key": "hunter2",
        "s3.region": "x",
    }
    token, key = problems(
        data={"train": {"iceberg": {"table": "a.b", "catalog": catalog}}, "features": "x", "label": "y"}
    )
    assert (token.field, key.field) == (
        "data.train.iceberg.catalog.token",
        "data.train.iceberg.catalog.s3.secret-access-key",
    )
    assert "PYICEBERG_CATALOG__PROD__TOKEN" in token.fix
    assert "PYICEBERG_CATALOG__PROD__S3__SECRET_ACCESS_KEY" in key.fix
    assert "hunter2" not in f"{token}{key}"
    (uri,) = problems(
        data={
            "train": {"iceberg": {"table": "a.b", "catalog": {"uri": "postgresql://me:hunter2@h/d"}}},
            "features": "x",
        }
    )
    assert uri.field == "data.train.iceberg.catalog.uri"


@pytest.mark.parametrize(
    "override",
    [
        "data.train.csv=s3://A:hunter2@b/x",
        "environment.pip=[git+https://hunter2@h/p]",
        "environment.env_vars.DB_PASS=hunter2",
    ],
)
def test_validate_refuses_what_submit_refuses(write_job: Write, override: str) -> None:
    found = refused(write_job(), "data.features=x", "data.label=y", override)
    assert found
    assert all(problem.file.startswith("--set ") for problem in found)
    assert not any("hunter2" in str(problem) for problem in found)
