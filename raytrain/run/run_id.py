"""The id of a run: Ray's `submission_id` of its first attempt, its directory's name, the label on every metric."""

from __future__ import annotations

import re
import secrets
from datetime import datetime

RUN_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
RUN_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_MINTED = re.compile(r"[a-z0-9][a-z0-9_-]*-\d{8}-\d{4}-[0-9a-f]{4}")
_SUBMISSION_ID = re.compile(r"(?P<run>[a-z0-9][a-z0-9_-]*?)(?:-a(?P<attempt>[2-9]|[1-9][0-9]+))?")


def mint_run_id(name: str, *, now: datetime, token: str | None = None) -> str:
    """The id of a new run of job `name`: `digits-20261120-0715-4f2a`.

    It is Ray's `submission_id` of the first attempt, the directory's name, and the label on every metric.
    """
    return f"{name}-{now:%Y%m%d-%H%M}-{token or secrets.token_hex(2)}"


def parse_run_id(run: str) -> tuple[str, datetime] | None:
    """The job's name and the minute of submission that a minted id names; None where it is none."""
    if not _MINTED.fullmatch(run):
        return None
    name, day, minute, _ = run.rsplit("-", 3)
    try:
        return name, datetime.strptime(f"{day}{minute}", "%Y%m%d%H%M")
    except ValueError:
        return None


def submission_id(run: str, attempt: int) -> str:
    """Ray's `submission_id` of an attempt: `<run>` for the first, `<run>-a2`, `<run>-a3`, … later."""
    return run if attempt == 1 else f"{run}-a{attempt}"


def parse_submission_id(text: str) -> tuple[str, int]:
    """The run and the attempt that a `submission_id` of ours names."""
    match = _SUBMISSION_ID.fullmatch(text)
    if match is None or _MINTED.fullmatch(text):  # a token such as `a234` is no attempt
        return text, 1
    return match["run"], int(match["attempt"] or 1)


def task_moment(now: datetime) -> str:
    """Which of a run's evaluations or predictions one is: `20261120-071502-4f2a`."""
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def task_submission_id(run: str, task: str, moment: str) -> str:
    """Ray's `submission_id` of a task that is no attempt: `<run>-predict-20261120-071502-4f2a`."""
    return f"{run}-{task}-{moment}"
