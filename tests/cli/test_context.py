"""`raytrain context`, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from raytrain.cli.main import app


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYTRAIN_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("RAYTRAIN_CONTEXT", raising=False)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_contexts_are_added_used_and_removed() -> None:
    added = invoke("context", "add", "prod", "--address", "https://ray.example.com", "--storage", "s3://bucket/runs")
    assert (added.exit_code, added.stdout) == (0, "  prod  https://ray.example.com  s3://bucket/runs\n")
    assert invoke("context", "use", "prod").stdout.startswith("* prod")

    [told] = json.loads(invoke("context", "--json").stdout)["contexts"]
    assert told == {
        "name": "prod",
        "address": "https://ray.example.com",
        "storage": "s3://bucket/runs",
        "used": True,
    }
    assert invoke("context", "use", "-").stdout == ""
    assert invoke("context", "remove", "prod").exit_code == 0
    assert invoke("context").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["context", "ad", "prod"], 2, "one of list, add, use, remove"),
        (["context", "use"], 2, "raytrain context use NAME"),
        (["context", "add", "prod"], 2, "without --address"),
        (["context", "use", "prod", "--storage", "runs"], 2, "them with add alone"),
        (["context", "use", "prod"], 5, "no context named"),
        (["status", "x", "--context", "prod"], 5, "no context named"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], code: int, says: str) -> None:
    done = invoke(*arguments)

    assert done.exit_code == code and says in done.stderr
