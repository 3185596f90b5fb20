"""What differs between runs, in Python and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import raytrain
from raytrain.cli.main import app
from raytrain.errors import UsageError
from raytrain.run import events
from raytrain.run.run_paths import RunPaths
from raytrain.spec.load import load_job
from raytrain.spec.request import JobRequest
from tests.cli import lives
from tests.docs.pages import ROOT


def keep(folder: Path, run: str, *, epochs: int, overrides: list[str], files: dict[str, str], rows: int) -> str:
    """A run's directory, as its driver leaves it."""
    paths = RunPaths(folder / run)
    shards = events.SplitShards(rows=rows, steps=3, rows_per_worker=[rows])
    started = events.GroupStarted(attempt=1, time=0.0, workers=2, versions={"keras": "3.15.1"})
    sharded = events.Sharded(attempt=1, time=0.0, splits={"train": shards})
    lives.write_log(paths.root, [*lives.whole_life(epochs), started, sharded, *lives.ending()])
    spec = load_job(str(ROOT / "jobs/digits"), overrides=overrides).spec
    request = JobRequest(
        run=run, attempt=1, submitted_at=0.0, spec=spec, storage=str(folder), files=files, commit="abc"
    )
    paths.spec.write_text(spec.model_dump_json())
    paths.request.write_text(request.model_dump_json())
    return str(paths.root)


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("RAYTRAIN_STATE_DIR", str(tmp_path / "state"))
    one = keep(tmp_path, "digits-20261120-0715-aaaa", epochs=3, overrides=[], files={"model.py": "11"}, rows=100)
    changed = ["fit.epochs=5", "compile.optimizer.learning_rate=0.5"]
    other = keep(tmp_path, "digits-20261120-0716-bbbb", epochs=5, overrides=changed, files={"model.py": "22"}, rows=90)
    return [one, other]


def compare(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, ["compare", *arguments], env=environment)


def test_what_differs_is_named_and_nothing_else(two: list[str]) -> None:
    found = raytrain.compare(*two)
    assert {(item.kind, item.what): item.values for item in found.differences} == {
        ("spec", "compile.optimizer.learning_rate"): (0.002, 0.5),
        ("spec", "fit.epochs"): (10, 5),
        ("code", "model.py"): ("11", "22"),
        ("data", "train rows"): (100, 90),
    }
    assert [run.epochs for run in found.runs] == [3, 5]
    assert found.frame().shape == (4, 4)


def test_one_object_for_programs(two: list[str]) -> None:
    body: dict[str, Any] = json.loads(compare(*two, "--json").stdout)
    assert [run["best"]["epoch"] for run in body["runs"]] == [2, 4]
    assert {item["what"] for item in body["differences"]} >= {"fit.epochs", "model.py"}


@pytest.mark.parametrize("width", ["30", "80", "200"])
def test_lines_for_people_fit_the_terminal(two: list[str], width: str) -> None:
    result = compare(*two, COLUMNS=width)
    assert result.exit_code == 0, result.stderr
    for words in ("A  digits-20261120-0715-aaaa", "fit.epochs", "val_loss", "spec differs"):
        assert words in result.stdout
    if width != "30":
        assert max(map(len, result.stdout.splitlines())) <= int(width)


def test_the_same_run_twice_is_no_comparison(two: list[str]) -> None:
    with pytest.raises(UsageError, match="got one run"):
        raytrain.compare(two[0], two[0])
    assert compare(two[0]).exit_code == 2


def test_runs_that_are_the_same(two: list[str], tmp_path: Path) -> None:
    again = keep(tmp_path, "digits-20261120-0717-cccc", epochs=3, overrides=[], files={"model.py": "11"}, rows=100)
    assert "spec, code, versions and data are the same" in compare(two[0], again).stdout
