from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytrain.run.run_id import RUN_ID, RUN_NAME, mint_run_id, parse_submission_id, submission_id
from raytrain.run.run_paths import RunPaths
from raytrain.run.run_status import RunStatus

NOW = datetime(2026, 11, 20, 7, 15, 59)
NAMES = st.from_regex(RUN_NAME, fullmatch=True)
TOKENS = st.text("0123456789abcdef", min_size=4, max_size=4)


def test_a_run_id_names_the_job_and_the_minute() -> None:
    assert mint_run_id("digits", now=NOW, token="4f2a") == "digits-20261120-0715-4f2a"


@given(NAMES)
def test_every_minted_id_is_a_run_id(name: str) -> None:
    assert RUN_ID.fullmatch(mint_run_id(name, now=NOW))


def test_two_runs_of_one_minute_differ() -> None:
    assert len({mint_run_id("a", now=NOW) for _ in range(20)}) > 1


@given(NAMES, TOKENS, st.integers(1, 200))
def test_a_submission_id_is_read_back(name: str, token: str, attempt: int) -> None:
    run = mint_run_id(name, now=NOW, token=token)
    assert parse_submission_id(submission_id(run, attempt)) == (run, attempt)


@pytest.mark.parametrize(
    ("text", "run", "attempt"),
    [
        ("digits-20261120-0715-4f2a", "digits-20261120-0715-4f2a", 1),
        ("digits-20261120-0715-4f2a-a2", "digits-20261120-0715-4f2a", 2),
        ("digits-20261120-0715-a234", "digits-20261120-0715-a234", 1),
        ("digits-20261120-0715-a234-a12", "digits-20261120-0715-a234", 12),
        ("mine-a3", "mine", 3),
        ("mine-a1", "mine-a1", 1),
        ("mine-a02", "mine-a02", 1),
        ("raysubmit_X9", "raysubmit_X9", 1),
    ],
)
def test_submission_ids_of_all_kinds(text: str, run: str, attempt: int) -> None:
    assert parse_submission_id(text) == (run, attempt)


def test_only_the_last_three_statuses_are_final() -> None:
    assert [status for status in RunStatus if status.is_terminal] == ["SUCCEEDED", "FAILED", "STOPPED"]


def test_every_path_of_a_run_lies_in_its_directory() -> None:
    paths = RunPaths.of("/runs", "a-1")
    named = [
        getattr(paths, name) for name, item in vars(RunPaths).items() if isinstance(item, property) and name != "run"
    ]
    named += [paths.driver_log(2), paths.rank_log(2, 3)]
    assert paths.run == "a-1"
    assert all(path.is_relative_to("/runs/a-1") for path in named)
    assert len(set(named)) == len(named)
    assert paths.rank_log(2, 3) == Path("/runs/a-1/logs/attempt-2/rank-3.log")


def test_the_users_home_is_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert RunPaths.of("~/raytrain", "a-1").root == Path("/home/someone/raytrain/a-1")
