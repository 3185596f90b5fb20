"""The verbs about a job before it runs: `validate`, `plan` and `init`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from raytrain.cli.main import app
from raytrain.run.events import ModelBuilt
from tests.cli import lives
from tests.cli.stand_in import Life, stand_in_cluster

runner = CliRunner()


def raytrain(*arguments: str, stdin: str | None = None) -> Result:
    return runner.invoke(app, list(arguments), input=stdin)


class TestValidate:
    def test_says_what_was_checked(self, job: Path) -> None:
        result = raytrain("validate", str(job))

        assert result.exit_code == 0
        assert result.stdout == f"{job / 'job.yaml'} is valid\n"
        assert "7 train rows" in result.stderr
        assert "2 workers, global batch 4" in result.stderr

    def test_in_json(self, job: Path) -> None:
        told = json.loads(raytrain("validate", str(job), "--json").stdout)

        assert (told["schema_version"], told["name"], told["valid"]) == (1, "tiny", True)
        assert told["checked"]

    def test_refuses_with_file_line_and_field(self, job: Path) -> None:
        file = job / "job.yaml"
        file.write_text(file.read_text().replace("epochs: 3", "epohcs: 3"))

        result = raytrain("validate", str(job))

        assert (result.exit_code, result.stdout) == (3, "")
        line = file.read_text().splitlines().index("fit: {epohcs: 3, global_batch_size: 4}") + 1
        assert f"{file}:{line}: fit.epohcs" in result.stderr
        assert "epochs" in result.stderr

    def test_reads_standard_input(self, job: Path) -> None:
        assert raytrain("validate", "-", stdin=(job / "job.yaml").read_text()).exit_code == 0

    def test_a_job_that_is_not_there(self) -> None:
        assert raytrain("validate", "nowhere").exit_code == 5

    def test_prints_the_schema(self) -> None:
        assert json.loads(raytrain("validate", "--schema").stdout)["properties"]["fit"]

    def test_needs_a_job(self) -> None:
        assert raytrain("validate").exit_code == 2


class TestPlan:
    def test_shows_the_shard_arithmetic_and_where_it_would_go(self, job: Path) -> None:
        with stand_in_cluster() as cluster:
            result = raytrain("plan", str(job), "--address", cluster.url)

        assert result.exit_code == 0, result.output
        lines = dict(
            line.strip().split(maxsplit=1) for line in result.stdout.splitlines()[1:] if "left out" not in line
        )
        assert lines["rows"] == "7 train"
        assert lines["batch"] == "4 rows, 2 on each of 2 workers"
        assert lines["epochs"] == "3 of 2 steps, the last of 3 rows"
        assert lines["workers"] == "2, each with 1 CPU"
        assert lines["cluster"] == f"{cluster.url} (--address), 1 node, 4 CPU"
        assert lines["upload"].startswith("1 file, ")
        assert not cluster.jobs and not cluster.packages

    def test_in_json(self, job: Path) -> None:
        with stand_in_cluster() as cluster:
            told = json.loads(raytrain("plan", str(job), "--address", cluster.url, "--json", "--workers", "3").stdout)

        assert told["rows"] == {"train": 7}
        assert (told["global_batch_size"], told["per_worker_batch_size"]) == (4, [2, 1, 1])
        assert (told["steps_per_epoch"], told["dropped_rows"]) == (2, 0)
        assert told["splits"]["train"]["rows_per_worker"] == [3, 2, 2]
        assert (told["address"], told["address_source"]) == (cluster.url, "--address")
        assert told["upload"]["files"] == 1
        assert told["spec"]["scaling"]["workers"] == 3

    def test_says_how_many_rows_are_left_out(self, job: Path) -> None:
        with stand_in_cluster() as cluster:
            result = raytrain("plan", str(job), "--address", cluster.url, "--set", "data.drop_remainder=true")

        assert "left out   3 rows of every epoch" in result.stdout

    def test_says_in_words_what_only_the_cluster_can_count(self, job: Path) -> None:
        (job / "data.py").write_text("def load():\n    return {}\n")
        options = ("--set", "data.train.python=data.py:load", "--set", "data.features=x")
        with stand_in_cluster() as cluster:
            text = raytrain("plan", str(job), "--address", cluster.url, *options)
            told = raytrain("plan", str(job), "--address", cluster.url, "--json", *options)

        assert "unknown until the cluster has read the source" in text.stdout
        assert json.loads(told.stdout)["rows"] is None

    def test_names_the_tier_with_its_reason(self, job: Path) -> None:
        with stand_in_cluster() as cluster:
            text = raytrain("plan", str(job), "--address", cluster.url)
            streaming = raytrain("plan", str(job), "--address", cluster.url, "--json", "--set", "data.cache=streaming")
            refused = raytrain(
                "plan", str(job), "--address", cluster.url, "--set", "data.cache=streaming", "--workers", "4"
            )

        assert "tier       shared (" in text.stdout
        assert "in each node's object store" in text.stdout
        told = json.loads(streaming.stdout)
        assert (told["tier"], told["tier_reason"]) == ("streaming", "data.cache=streaming")
        assert "another order of the rows" in told["promise"]
        assert refused.exit_code == 3
        assert "one CPU left to read the rows" in " ".join(refused.stderr.split())

    def test_foresees_an_epoch_on_each_number_of_workers_once_the_job_has_run(self, job: Path) -> None:
        built = ModelBuilt(parameters=2, trainable_parameters=2, run=lives.RUN, attempt=1, time=lives.SUBMITTED_AT)
        with stand_in_cluster(Life(events=[built, *lives.whole_life()])) as cluster:
            untimed = raytrain("plan", str(job), "--address", cluster.url, "--workers", "1,2")
            run = json.loads(raytrain("submit", str(job), "--address", cluster.url, "--json").stdout)["run"]
            text = raytrain("plan", str(job), "--address", cluster.url, "--workers", "1,2")
            told = raytrain("plan", str(job / "job.yaml"), "--address", cluster.url, "--workers", "1,2", "--json")

        assert "no run of this job was timed yet" in untimed.stdout
        assert "epoch      1 worker: " in text.stdout
        assert f"foreseen from {run}, 0.41s on 2 workers" in text.stdout
        scaling = json.loads(told.stdout)["scaling"]
        assert (scaling["run"], [item["workers"] for item in scaling["predictions"]]) == (run, [1, 2])

    def test_a_cluster_that_does_not_answer_is_a_warning(self, job: Path) -> None:
        result = raytrain("plan", str(job), "--address", "http://127.0.0.1:9")

        assert result.exit_code == 0
        assert "7 train" in result.stdout
        assert "does not answer" in result.stderr

    def test_refuses_what_the_cluster_can_never_give(self, job: Path) -> None:
        with stand_in_cluster() as cluster:
            result = raytrain("plan", str(job), "--address", cluster.url, "--set", "scaling.gpus_per_worker=1")

        assert (result.exit_code, result.stdout) == (3, "")

    def test_starts_no_cluster(self, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("raytrain.cluster.connect._heads", lambda environ: [])
        monkeypatch.setattr("raytrain.cluster.local.local_cluster.start", lambda **_: pytest.fail("started a cluster"))

        result = raytrain("plan", str(job))
        told = json.loads(raytrain("plan", str(job), "--json").stdout)

        assert "none yet (a local cluster that raytrain starts)" in result.stdout
        assert (told["address"], told["starts_local_cluster"]) == (None, True)


class TestInit:
    def test_writes_a_job_that_is_valid(self, tmp_path: Path) -> None:
        result = raytrain("init", "first", "--dir", str(tmp_path))

        assert result.exit_code == 0
        assert result.stdout.splitlines() == [str(tmp_path / "first" / name) for name in ("job.yaml", "model.py")]
        assert raytrain("validate", str(tmp_path / "first")).exit_code == 0

    def test_overwrites_nothing(self, tmp_path: Path) -> None:
        raytrain("init", "first", "--dir", str(tmp_path))

        assert raytrain("init", "first", "--dir", str(tmp_path), "--json").exit_code == 2
