"""Every job in jobs/, for real, on two workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import JOBS, Cli
from tests.jobs.expectations import EXPECTED, check_frozen, check_job


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_job_shows_what_it_must(name: str, cli: Cli) -> None:
    result = cli.submit(JOBS / name)
    check_job(name, result, Path(result["storage"]))
    assert result["workers"] == 2


@pytest.mark.thorough
def test_transfer_starts_from_the_saved_model_of_another_run(cli: Cli) -> None:
    base = cli.submit(JOBS / "digits", "--set", "fit.epochs=2")
    result = cli.submit(JOBS / "digits_transfer", "--set", f"init_from={base['run']}", "--set", "fit.epochs=2")
    assert result["status"] == "SUCCEEDED", result["error"]
    check_frozen(Path(result["model"]), Path(base["model"]))


@pytest.mark.thorough
def test_one_and_two_workers_give_one_answer_through_the_whole_road(cli: Cli) -> None:
    one, two = (cli.submit(JOBS / "digits", "--workers", n, "--set", "fit.epochs=3") for n in ("1", "2"))
    assert two["metrics"] == pytest.approx(one["metrics"], abs=4e-5)
    assert two["test"] == pytest.approx(one["test"], abs=4e-5)


@pytest.mark.thorough
def test_gpus_that_tensorflow_does_not_see_are_refused_and_scheduled_when_told_so(cli: Cli) -> None:
    gpu = ("--set", "scaling.gpus_per_worker=1", "--set", "fit.epochs=1")
    refused = cli.submit(JOBS / "digits", *gpu)
    assert refused["status"] == "FAILED"
    assert "asked for 1 GPU, TensorFlow sees 0" in refused["error"]["message"]
    allowed = cli.submit(JOBS / "digits", *gpu, "--set", "environment.env_vars.RAYTRAIN_ALLOW_MISSING_GPUS=1")
    assert allowed["status"] == "SUCCEEDED", allowed["error"]
