from typing import Any

import pytest

from raytrain.errors import Problem
from raytrain.spec.checks import JobFacts, check_counts, check_job, plan_splits, split_rows
from raytrain.spec.data_spec import DataSpec
from raytrain.spec.job import JobSpec
from raytrain.spec.load import load_job
from raytrain.spec.shards import SplitCounts
from tests.spec.conftest import Write, refused

INLINE = {"inline": {"a": [1]}}


def spec(workers: int = 1, batch: int = 32, validation_batch: int | None = None, **data: Any) -> JobSpec:
    return JobSpec.model_validate(
        {
            "name": "a",
            "model": "model.py:f",
            "data": {"train": INLINE, "features": "a"} | data,
            "fit": {"global_batch_size": batch, "validation_batch_size": validation_batch},
            "scaling": {"workers": workers},
        }
    )


def facts(write_job: Write, *overrides: str, **files: str) -> JobFacts:
    return check_job(load_job(str(write_job(**files)), overrides=overrides))


@pytest.mark.parametrize(
    ("job", "counts", "field", "got"),
    [
        (spec(validation=0.1), (10, 0, 0), "data.validation", "validation rows: 0"),
        (spec(test=INLINE), (10, 0, 0), "data.test", "test rows: 0"),
        (spec(), (0, 0, 0), "data.train", "train rows: 0"),
        (spec(workers=4), (3, 0, 0), "scaling.workers", "4 workers for 3 train rows"),
        (spec(drop_remainder=True), (31, 0, 0), "fit.global_batch_size", "31 train rows in batches of 32, which"),
        (spec(workers=4, batch=3), (100, 0, 0), "fit.global_batch_size", "a global batch of 3 rows for 4 workers"),
    ],
)
def test_counts_that_cannot_be_trained_on(job: JobSpec, counts: tuple[int, int, int], field: str, got: str) -> None:
    train, validation, test = counts
    (problem,) = check_counts(job, SplitCounts(train=train, validation=validation, test=test))
    assert problem.field == field
    assert problem.got.startswith(got)


@pytest.mark.parametrize(
    ("job", "counts"),
    [
        (spec(), (1, 0, 0)),
        (spec(workers=4, batch=4), (4, 0, 0)),
        (spec(drop_remainder=True), (32, 0, 0)),
        (spec(workers=4, validation=0.5), (4, 1, 0)),
    ],
)
def test_counts_that_just_suffice(job: JobSpec, counts: tuple[int, int, int]) -> None:
    train, validation, test = counts
    assert check_counts(job, SplitCounts(train=train, validation=validation, test=test)) == []


@pytest.mark.parametrize(
    ("data", "sources", "rows"),
    [
        ({}, {"train": 10}, (10, 0, 0)),
        ({"validation": 0.1, "test": 0.1}, {"train": 1797}, (1437, 180, 180)),
        ({"validation": INLINE, "test": 0.5}, {"train": 10, "validation": 7}, (5, 7, 5)),
        ({"validation": INLINE}, {"train": None, "validation": 7}, (None, 7, 0)),
        ({"validation": 0.1}, {"train": None}, (None, None, 0)),
        ({"validation": 0.9, "test": 0.05}, {"train": 1}, (0, 1, 0)),
        ({"validation": 0.1, "group": "g"}, {"train": 100}, (None, None, 0)),
        ({"test": {"where": {"g": 1}}}, {"train": 100}, (None, 0, None)),
        ({"test": {"where": {"g": 1}}, "validation": INLINE}, {"train": 9, "validation": 7}, (None, 7, None)),
    ],
)
def test_rows_of_each_split(data: dict[str, Any], sources: dict[str, int | None], rows: tuple[int | None, ...]) -> None:
    job = DataSpec.model_validate({"train": INLINE, "features": "a"} | data)
    assert tuple(split_rows(job, sources).values()) == rows


def test_plans_use_the_batch_of_their_split() -> None:
    job = spec(workers=2, batch=32, validation_batch=50, drop_remainder=True, validation=0.1, test=0.1)
    plans = plan_splits(job, SplitCounts(train=100, validation=100, test=100))
    assert {part: (plan.steps, plan.dropped) for part, plan in plans.items()} == {
        "train": (3, 4),
        "validation": (2, 0),
        "test": (4, 0),
    }
    assert list(plan_splits(job, SplitCounts(train=100, validation=0, test=0))) == ["train"]


def test_a_job_that_fits(write_job: Write) -> None:
    found = facts(write_job, "data.test=0.1", "scaling.workers=2")
    assert found.rows == SplitCounts(train=1437, validation=180, test=180)
    assert found.plans["train"].rows_per_worker == (719, 718)


def test_what_is_unknown_stays_unknown(write_job: Write) -> None:
    overrides = ["data.train.python=data.py:load", "data.features=a", "data.validation.csv=v.csv"]
    found = facts(write_job, *overrides, data__py="def load(): ...", v__csv="a\n1\n2\n")
    assert found.rows is None
    assert {part: plan.rows for part, plan in found.plans.items()} == {"validation": 2}


def located(problem: Problem) -> tuple[str, str, int]:
    return problem.file.rpartition("/")[2], problem.field, problem.line


def test_every_kind_of_problem_at_once_each_with_its_line(write_job: Write) -> None:
    folder = write_job(
        "name: a\n"
        "model: model.py:build\n"
        "data:\n"
        "  train: {csv: t.csv}\n"
        "  validation: {csv: v.csv}\n"
        "  features: [a, c]\n"
        "  label: y\n"
        "fit: {global_batch_size: 2}\n"
        "scaling: {workers: 3}\n",
        t__csv="a,b,y\n1,2,3\n",
        v__csv="a,b,y\n1,2\n",
    )
    assert [located(problem) for problem in refused(folder)] == [
        ("v.csv", "data.validation.csv", 2),
        ("job.yaml", "scaling.workers", 9),
        ("job.yaml", "fit.global_batch_size", 8),
        ("job.yaml", "data.features", 6),
        ("job.yaml", "model", 2),
    ]


def test_a_label_that_does_not_exist(write_job: Write) -> None:
    (problem,) = refused(write_job(), "data.label=digits")
    assert problem.got == "label `digits`, which is no column"
    assert problem.fix == "did you mean `digit`?"
    assert problem.file == "--set data.label=digits"


def test_a_fraction_that_gives_no_rows(write_job: Write) -> None:
    (problem,) = refused(write_job(), "data.train.csv=t.csv", "data.features=a", "data.validation=0.00001")
    assert "does not exist" in problem.got
    folder = write_job(t__csv="a\n1\n2\n3\n")
    (problem,) = refused(folder, "data.train.csv=t.csv", "data.features=a", "data.validation=0.1")
    assert (problem.field, problem.got) == ("data.validation", "validation rows: 0")


def test_a_call_of_more_steps_than_lie_between_two_checkpoints(write_job: Write) -> None:
    compiled = ("compile.loss=mse", "compile.steps_per_execution=8")
    (problem,) = refused(write_job(), *compiled, "checkpoint.every_steps=5")
    assert problem.field == "checkpoint.every_steps"
    assert problem.got == "a checkpoint every 5 steps, of which 8 are run a call"
    facts(write_job, *compiled, "checkpoint.every_steps=8")
    facts(write_job, "checkpoint.every_steps=5")
