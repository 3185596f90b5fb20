"""The verbs that come after training, before a cluster or a converter is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from raytrain.run.run_paths import RunPaths
from tests.cli import lives
from tests.cli.stand_in import Life, StandIn, stand_in_cluster
from tests.cli.test_run_verbs import keep, raytrain


@pytest.fixture
def finished(tmp_path: Path) -> RunPaths:
    """A run of three epochs that has ended, with a model and a checkpoint."""
    paths = keep(tmp_path, lives.whole_life())
    paths.model.write_text("a model")
    (paths.checkpoints / "epoch-000002").mkdir(parents=True)
    return paths


class TestExport:
    def test_a_format_that_there_is_not(self, finished: RunPaths) -> None:
        result = raytrain("export", finished.run, "--format", "tflite")

        assert result.exit_code == 2
        assert "one of keras, tf_saved_model, onnx, litert, weights" in result.stderr and "litert" in result.stderr

    def test_a_run_without_a_model_and_a_folder_that_is_there(self, finished: RunPaths, tmp_path: Path) -> None:
        there = raytrain("export", finished.run, "--output", str(tmp_path))
        finished.model.unlink()
        gone = raytrain("export", finished.run, "--json")

        assert there.exit_code == 2 and "--overwrite" in there.stderr
        assert gone.exit_code == 5 and "whose model is not at" in json.loads(gone.stderr)["error"]["message"]


class TestExtend:
    @pytest.fixture
    def trained(self, job: Path) -> Iterator[tuple[StandIn, str]]:
        """A run of three epochs that a stand-in cluster has trained, and its id."""
        with stand_in_cluster(Life(events=lives.whole_life())) as cluster:
            told = json.loads(raytrain("submit", str(job), "--address", cluster.url, "--json").stdout)
            (RunPaths(Path(told["storage"])).checkpoints / "epoch-000002").mkdir(parents=True)
            yield cluster, told["run"]

    def test_a_new_run_is_told_what_it_extends(self, trained: tuple[StandIn, str]) -> None:
        cluster, run = trained

        again = raytrain("extend", run, "--set", "fit.epochs=5", "--set", "name=longer", "--address", cluster.url, "-d")

        assert again.exit_code == 0, again.stderr
        extended = again.stdout.strip()
        assert extended.startswith("longer-") and list(cluster.jobs) == [run, extended]
        request = cluster.requests[-1]
        assert request.extended_from is not None
        assert (request.extended_from.run, request.attempt, request.spec.fit.epochs) == (run, 1, 5)

    def test_what_is_refused(self, trained: tuple[StandIn, str]) -> None:
        cluster, run = trained
        done = raytrain("extend", run, "--address", cluster.url)
        changed = raytrain("extend", run, "--set", "fit.epochs=5", "--set", "fit.seed=1", "--address", cluster.url)

        assert done.exit_code == 2 and "3 epochs of" in done.stderr and "--set fit.epochs=13" in done.stderr
        assert changed.exit_code == 3 and "expected  0, as submitted" in changed.stderr
        assert list(cluster.jobs) == [run]

    def test_a_run_without_a_checkpoint_or_one_that_goes_on(self, finished: RunPaths, tmp_path: Path) -> None:
        going = keep(tmp_path, lives.beginning(), run="digits-20261120-0716-aaaa")

        assert raytrain("extend", going.run).exit_code == 2
        assert raytrain("extend", finished.run, "--set", "fit.epochs=5").exit_code == 5


class TestDelete:
    def test_nobody_to_ask(self, finished: RunPaths) -> None:
        result = raytrain("delete", finished.run)

        assert result.exit_code == 2 and "--yes" in result.stderr
        assert finished.model.exists()

    def test_told_then_done(self, finished: RunPaths) -> None:
        told = json.loads(raytrain("delete", "@last", "--dry-run", "--json").stdout)
        assert told["dry_run"] and told["deleted"][0]["run"] == finished.run and finished.model.exists()

        assert raytrain("delete", finished.run, "--yes").exit_code == 0
        assert not finished.root.exists()
        assert raytrain("status", finished.run).exit_code == 5

    def test_neither_a_run_nor_how_many(self) -> None:
        assert raytrain("delete").exit_code == 2


def test_tags_are_given_listed_and_taken(finished: RunPaths) -> None:
    assert raytrain("tag", finished.run, "production").stdout == f"digits:production  {finished.run}\n"
    assert json.loads(raytrain("tag", "--json").stdout)["tags"][0]["tag"] == "production"
    assert raytrain("status", "digits:production").stdout.startswith(finished.run)
    assert raytrain("tag", finished.run, "Production").exit_code == 2
    assert raytrain("tag", finished.run, "--remove").exit_code == 2
    assert raytrain("tag", "digits:production", "production", "--remove").exit_code == 0
    assert raytrain("tag").stdout == "" and raytrain("status", "digits:production").exit_code == 5


def test_a_copy_is_said_where_it_is(finished: RunPaths, tmp_path: Path) -> None:
    fetched = raytrain("fetch", finished.run, "--output", str(tmp_path / "copy"))

    assert fetched.stdout == f"{tmp_path / 'copy'}\n" and "files" in fetched.stderr
    assert raytrain("status", str(tmp_path / "copy")).exit_code == 0


class TestFastDevRun:
    def test_it_is_told_and_leaves_nothing(self, job: Path, tmp_path: Path) -> None:
        with stand_in_cluster(Life(events=lives.whole_life(epochs=1))) as cluster:
            done = raytrain("submit", str(job), "--address", cluster.url, "--fast-dev-run")

        assert done.exit_code == 0, done.stderr
        assert "fast dev run of tiny: 1,437 rows of train and 180 rows of validation on 2 workers" in done.stdout
        assert "nothing of it is kept" in done.stderr and list((tmp_path / "storage").iterdir()) == []
        [request] = cluster.requests
        assert request.fast_dev_run and request.spec.fit.epochs == 1
        assert json.loads(raytrain("list", "--json").stdout)["runs"] == []

    def test_nobody_to_remove_what_it_leaves(self, job: Path) -> None:
        with stand_in_cluster() as cluster:
            done = raytrain("submit", str(job), "--address", cluster.url, "--fast-dev-run", "-d")

        assert done.exit_code == 2 and "--no-wait" in done.stderr and not cluster.requests
