import json
from dataclasses import replace
from typing import Any

from raytrain.errors import Failure
from raytrain.run import events
from raytrain.run.run_status import RunStatus
from raytrain.run.summary import RunSummary, summarize

AT: dict[str, Any] = {"run": "a-1", "attempt": 1, "time": 100.0}
SUBMITTED = events.Submitted(
    **AT, name="a", workers=2, global_batch_size=32, epochs=10, storage="/runs/a-1", submitted_at=90.0
)
ERROR = Failure(kind="ValueError", message="no", rank=1, file="model.py", line=3, traceback="…")

GONE = Failure(kind="driver_lost", message="gone")


def shards(rows: int, steps: int) -> events.SplitShards:
    return events.SplitShards(rows=rows, steps=steps, rows_per_worker=[rows])


def epoch(number: int, *, loss: float, attempt: int = 1, time: float = 110.0, **more: Any) -> events.EpochEnd:
    return events.EpochEnd(
        run="a-1",
        attempt=attempt,
        time=time,
        epoch=number,
        metrics={"loss": loss, **more},
        seconds=0.5,
        rows_per_s=100.0,
        rank_seconds=[0.5, 0.4],
        rank_rows_per_s=[50.0, 50.0],
        learning_rate=0.1,
        best=events.Best(epoch=number, monitor="loss", value=loss),
        patience_left=3,
    )


def summary(*more: events.Event) -> RunSummary:
    return summarize("a-1", [SUBMITTED, events.GroupStarted(**AT, workers=2), *more])


def test_a_run_without_events_is_pending() -> None:
    body = summarize("a-1", []).to_dict()
    assert (body["run"], body["status"], body["reason"], body["epochs"]) == ("a-1", "PENDING", None, 0)


def test_every_key_of_the_contract_is_always_there() -> None:
    keys = {
        *("schema_version", "run", "name", "status", "reason", "attempts", "workers", "global_batch_size"),
        *(
            "steps_per_epoch",
            "rows",
            "epochs",
            "metrics",
            "test",
            "best",
            "storage",
            "model",
            "dashboard_url",
            "timing",
        ),
        "error",
    }
    empty, full = summarize("a-1", []).to_dict(), summary(epoch(0, loss=1.0)).to_dict()
    assert keys <= set(empty)
    assert set(empty) == set(full)
    timing = {"submit_to_first_step_s", "submit_to_first_epoch_s", "epoch_s", "total_s"}
    assert timing <= set(empty["timing"])
    json.dumps(full, allow_nan=False)


def test_a_run_that_succeeds() -> None:
    body = summary(
        events.Phase(**AT, name="first_step", since_submit_s=12.5),
        events.Sharded(**AT, splits={"train": shards(10, 3), "validation": shards(2, 1)}),
        events.ModelBuilt(**AT, parameters=7, trainable_parameters=5),
        epoch(0, loss=1.0, time=120.0),
        epoch(1, loss=0.5, time=121.0),
        events.TestEnd(**AT, metrics={"loss": 0.6}),
        events.ModelSaved(**AT, path="/runs/a-1/model.keras"),
        events.Warned(**AT, message="look"),
        events.RunFinished(run="a-1", attempt=1, time=130.0, status="SUCCEEDED", reason="completed"),
    ).to_dict()
    assert (body["status"], body["reason"], body["error"]) == ("SUCCEEDED", "completed", None)
    assert (body["workers"], body["global_batch_size"], body["epochs"], body["epochs_planned"]) == (2, 32, 2, 10)
    assert body["rows"] == {"train": 10, "validation": 2, "test": 0}
    assert (body["steps_per_epoch"], body["parameters"]) == (3, 7)
    assert (body["metrics"], body["test"]) == ({"loss": 0.5}, {"loss": 0.6})
    assert body["best"] == {"epoch": 1, "monitor": "loss", "value": 0.5}
    assert (body["storage"], body["model"], body["warnings"]) == ("/runs/a-1", "/runs/a-1/model.keras", ["look"])
    assert body["timing"] == {
        "submit_to_first_step_s": 12.5,
        "submit_to_first_epoch_s": 30.0,
        "epoch_s": [0.5, 0.5],
        "total_s": 40.0,
        "phases": {"first_step": 12.5, "first_epoch": 30.0},
    }


def test_a_run_that_fails_keeps_its_error() -> None:
    body = summary(
        epoch(0, loss=1.0),
        events.GroupFailed(**AT, error=ERROR, retrying=False),
        events.RunFinished(**AT, status="FAILED", reason="user_code", error=ERROR),
    ).to_dict()
    assert (body["status"], body["reason"], body["error"]) == ("FAILED", "user_code", ERROR.to_json())
    assert body["metrics"] == {"loss": 1.0}


def test_a_second_attempt_clears_the_first_ones_failure() -> None:
    failed = summary(events.GroupFailed(**AT, error=ERROR, retrying=True))
    assert (failed.status, failed.error) == (RunStatus.RETRYING, ERROR)
    failed.add(events.GroupStarted(run="a-1", attempt=2, time=130.0, workers=2, restart=1))
    assert (failed.status, failed.error, failed.attempts, failed.restarts) == (RunStatus.RUNNING, None, 2, 1)


def test_phases_count_from_their_first_time() -> None:
    phases = [events.Phase(**AT, name="data", since_submit_s=seconds) for seconds in (3.0, 9.0)]
    assert summary(*phases).phases == {"data": 3.0}


def test_phases_of_a_later_attempt_count_from_the_first_command() -> None:
    resumed = summary(events.Phase(run="a-1", attempt=2, time=590.0, name="first_step", since_submit_s=12.5))
    assert resumed.to_dict()["timing"]["submit_to_first_step_s"] == 500.0


def test_a_run_that_was_stopped_says_why_where_others_have_their_error() -> None:
    stopped = summary(events.RunFinished(**AT, status="STOPPED", reason="stopped_by_user")).to_dict()
    assert stopped["error"] == Failure(kind="stopped_by_user", message="the run was stopped: stopped by user").to_json()
    assert summary(events.RunFinished(**AT, status="SUCCEEDED", reason="completed")).to_dict()["error"] is None


def test_a_split_that_a_job_does_not_have_is_of_no_rows() -> None:
    assert summary().to_dict()["rows"] == {}
    whole = summary(events.Sharded(**AT, splits={"train": shards(8, 1)}))
    assert whole.to_dict()["rows"] == {"train": 8, "validation": 0, "test": 0}


def test_after_a_restore_the_later_epochs_are_forgotten() -> None:
    restored = summary(*(epoch(number, loss=1.0 - number / 10) for number in range(4)))
    restored.add(events.Restored(**AT, epoch=1, path="checkpoints/1"))
    assert [row.epoch for row in restored.epoch_rows()] == [0, 1]
    assert (restored.last_metrics, restored.best) == ({"loss": 0.9}, None)
    restored.add(epoch(2, loss=0.3, attempt=2))
    assert [(row.epoch, row.metrics["loss"], row.attempt) for row in restored.epoch_rows()] == [
        (0, 1.0, 1),
        (1, 0.9, 1),
        (2, 0.3, 2),
    ]
    restored.add(events.Restored(**AT, epoch=-1, path=""))
    assert (restored.epoch_rows(), restored.last_metrics) == ([], {})


def test_a_restore_keeps_the_best_that_came_before_it() -> None:
    best = events.Best(epoch=1, monitor="loss", value=0.1)
    worse = replace(epoch(3, loss=0.9), best=best)
    restored = summary(epoch(1, loss=0.1), worse, events.Restored(**AT, epoch=1, path=""))
    assert restored.best == best


def test_epoch_rows_are_flat_and_in_order() -> None:
    (first, second) = summary(epoch(0, loss=1.0, val_loss=2.0), epoch(1, loss=0.5)).epoch_rows()
    assert first.to_json() == {
        "epoch": 0,
        "loss": 1.0,
        "val_loss": 2.0,
        "epoch_s": 0.5,
        "rows_per_s": 100.0,
        "learning_rate": 0.1,
        "attempt": 1,
    }
    assert second.epoch == 1


def test_metric_names_in_the_order_of_their_appearance() -> None:
    names = summary(epoch(0, loss=1.0), epoch(1, loss=1.0, val_loss=1.0)).metric_names()
    assert names == ["loss", "val_loss"]


def test_what_is_learned_elsewhere_completes_the_log() -> None:
    lost = summary(epoch(0, loss=1.0))
    lost.conclude(RunStatus.FAILED, reason="driver_lost", error=GONE)
    assert (lost.status, lost.reason, lost.error) == (RunStatus.FAILED, "driver_lost", GONE)
    lost.conclude(RunStatus.STOPPED, error=Failure(kind="", message="later"))
    assert (lost.reason, lost.error) == ("driver_lost", GONE)


def test_a_run_taken_up_again_is_no_longer_what_the_attempt_before_came_to() -> None:
    ended = summary(events.RunFinished(**AT, status="STOPPED", reason="stopped_by_user"))
    again = {"attempt": 2, "time": 500.0}
    ended.add(events.Submitted(**(vars(SUBMITTED) | again | {"submitted_at": 499.0, "epochs": 20})))
    assert (ended.status, ended.reason, ended.error, ended.finished_at) == (RunStatus.PENDING, None, None, None)
    assert (ended.attempts, ended.epochs_planned, ended.submitted_at) == (2, 20, 90.0)


def test_a_group_is_queued_until_it_is_placed() -> None:
    queued = summary(events.Queued(**AT, needs="4 CPU"))
    assert (queued.status, queued.to_dict()["queued_for"]) == (RunStatus.QUEUED, "4 CPU")
    queued.add(events.Placed(**AT, ranks=[]))
    assert (queued.status, queued.queued_for) == (RunStatus.RUNNING, None)


def test_a_run_has_as_many_workers_as_its_last_group() -> None:
    assert summary(events.GroupStarted(**AT, workers=1)).to_dict()["workers"] == 1


def test_what_a_later_version_tells_otherwise_costs_nothing_else() -> None:
    later = summary(
        events.Sharded(**AT, splits={"validation": shards(2, 1)}),
        epoch(0, loss=1.0),
        events.Restored(**AT, epoch=None, path=""),  # type: ignore[arg-type]
        events.RunFinished(run="a-1", attempt=1, time=130.0, status="PARKED", reason="of_tomorrow"),
    ).to_dict()

    assert (later["rows"], later["epochs"], later["metrics"]) == (
        {"train": 0, "validation": 2, "test": 0},
        1,
        {"loss": 1.0},
    )
    assert (later["status"], later["reason"], later["timing"]["total_s"]) == ("UNKNOWN", "of_tomorrow", 40.0)


def test_only_what_failed_was_restarted() -> None:
    resized = summary(events.Resized(**AT, workers=1, before=2), events.GroupStarted(**AT, workers=1))
    assert resized.restarts == 0


def test_an_epoch_that_follows_costs_no_copy_of_those_before_it() -> None:
    known = summary(epoch(0, loss=0.5), epoch(1, loss=0.4))
    before = known.epochs
    known.add(epoch(2, loss=0.3))
    assert known.epochs is before
    assert known.newest_row() == known.epoch_rows()[-1]
