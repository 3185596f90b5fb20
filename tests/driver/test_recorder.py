from __future__ import annotations

import errno
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from raytrain import protocol
from raytrain.driver import recorder
from raytrain.driver.recorder import Recorder
from raytrain.driver.sinks.sink import SinkThread
from raytrain.run import events
from raytrain.run.event_log import read_events
from raytrain.run.run_paths import RunPaths
from raytrain.run.summary import RunSummary
from raytrain.spec.job import JobSpec
from raytrain.spec.request import JobRequest

RUN = "case-20261120-0715-4f2a"
SUBMITTED = 1000.0

Open = Callable[..., Recorder]


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    return RunPaths.of(tmp_path, RUN)


class AtOnce(SinkThread):
    """Tells its sink before `put` returns; what its thread does otherwise is tested with the sinks."""

    def put(self, event: events.Event, summary: RunSummary) -> None:
        super().put(event, summary)
        self._waiting.clear()
        self._take((event, summary))


@pytest.fixture
def open_recorder(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """`open_recorder(workers=2, attempt=1, mirror=None)`: the recorder of one attempt, and `submitted` told."""

    opened: list[Recorder] = []
    monkeypatch.setattr(recorder, "SinkThread", AtOnce)

    def start(*, workers: int = 2, attempt: int = 1, mirror: Path | None = None) -> Recorder:
        spec = JobSpec.model_validate(
            {
                "name": "case",
                "model": "model.py:build_model",
                "data": {"train": {"inline": {"x": [0.0]}}, "features": "x"},
                "scaling": {"workers": workers},
            }
        )
        request = JobRequest(
            run=RUN, attempt=attempt, submitted_at=SUBMITTED, spec=spec, storage=str(paths.root.parent)
        )
        started = recorder.open_recorder(request, paths, mirror=mirror, exports=False)
        opened.append(started)
        storage = str(paths.root)
        submitted = events.Submitted(
            name="case", workers=workers, global_batch_size=32, epochs=3, storage=storage, submitted_at=SUBMITTED
        )
        started.record(submitted)
        return started

    yield start
    for started in opened:
        started.close()


def epoch_done(epoch: int = 0, **fields: Any) -> protocol.Happened:
    measured: dict[str, Any] = {
        "time": 1010.0 + epoch,
        "epoch": epoch,
        "rank_seconds": [2.0, 3.0],
        "rank_rows": [30, 31],
        "rank_wait_s": [0.0, 0.25],
        "metrics": {"loss": 0.5, "val_loss": 0.75},
        "learning_rate": 0.01,
        "best": events.Best(epoch=0, monitor="val_loss", value=0.75),
        "patience_left": 2,
    }
    return happened(events.EpochEnd.measured(**measured | fields), time=1010.0 + epoch)


def happened(event: events.Event, *, rank: int = 0, time: float = 1.0) -> protocol.Happened:
    return protocol.Happened(rank=rank, time=time, event=event)


def kinds(paths: RunPaths) -> list[str]:
    return [event.type for event in read_events(paths.events)]


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            events.ModelBuilt(parameters=10, trainable_parameters=8),
            {"type": "model_built", "parameters": 10, "trainable_parameters": 8},
        ),
        (
            events.CheckpointSaved(epoch=4, path="/c", seconds=0.5),
            {"type": "checkpoint_saved", "epoch": 4, "path": "/c", "seconds": 0.5},
        ),
        (
            events.TrainingEnded(epoch=3, reason="early_stopped", message="no better"),
            {"type": "early_stop", "epoch": 3, "reason": "early_stopped", "message": "no better", "best": None},
        ),
        (events.Warned(message="mind"), {"type": "warned", "message": "mind"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_happened_on_a_worker_is_an_event_of_the_run(
    event: events.Event, line: dict[str, Any], open_recorder: Open, paths: RunPaths
) -> None:
    open_recorder(attempt=2).take(happened(event))
    written = json_lines(paths.events)[-1]
    assert {name: written[name] for name in line} == line
    assert (written["run"], written["attempt"], written["time"], written["schema_version"]) == (RUN, 2, 1.0, 1)


@pytest.mark.parametrize("pause", list(protocol.Pause))
def test_a_group_that_ends_for_another_to_follow_ends_no_training(
    pause: protocol.Pause, open_recorder: Open, paths: RunPaths
) -> None:
    open_recorder().take(happened(events.TrainingEnded(epoch=1, reason=pause, message="")))
    assert kinds(paths) == ["submitted"]


def test_an_epoch_lasts_as_long_as_its_slowest_rank(
    open_recorder: Open, paths: RunPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = open_recorder(workers=3)
    recorder.take(epoch_done(rank_seconds=[2.0, 3.0, 4.0], rank_rows=[30, 31, 32], rank_wait_s=[0.0, 0.01, 0.02]))
    event = read_events(paths.events)[-1]
    assert isinstance(event, events.EpochEnd)
    assert event.rank_seconds == [2.0, 3.0, 4.0]
    assert event.seconds == 4.0
    assert event.rank_rows_per_s == [30 / 2, 31 / 3, 32 / 4]
    assert event.rows_per_s == (30 + 31 + 32) / 4.0
    assert event.rank_wait_s == [0.0, 0.01, 0.02]
    assert event.time == 1010.0
    assert (event.metrics, event.learning_rate, event.patience_left) == ({"loss": 0.5, "val_loss": 0.75}, 0.01, 2)
    assert capsys.readouterr().out == "epoch 1/3 loss=0.5000 val_loss=0.7500 4.00s 23 rows/s\n"


def restored(epoch: int, *reports: protocol.Happened) -> protocol.GoesOn:
    ends = [report.event for report in reports if isinstance(report.event, events.EpochEnd)]
    return protocol.GoesOn(rank=0, time=1020.0, restored=events.Restored(epoch=epoch, path="/c"), reports=ends)


def test_epochs_that_a_checkpoint_tells_of_and_no_driver_noted_are_noted(open_recorder: Open, paths: RunPaths) -> None:
    reports = [epoch_done(epoch, metrics={"loss": 1 / (epoch + 3)}) for epoch in range(4)]
    first = open_recorder()
    first.take(reports[0])
    first.take(reports[1])
    first.close()
    second = open_recorder(attempt=2)
    second.take(restored(3, *reports))
    assert kinds(paths) == ["submitted", "epoch_end", "epoch_end", "submitted", "epoch_end", "epoch_end", "restored"]
    rows = json_lines(paths.metrics)
    assert [(row["epoch"], row["loss"]) for row in rows] == [(epoch, 1 / (epoch + 3)) for epoch in range(4)]
    second.take(restored(3, *reports))
    assert kinds(paths)[-2:] == ["restored", "restored"]


def test_an_epoch_that_was_noted_of_a_life_that_was_left_is_noted_as_it_came_to_stay(
    open_recorder: Open, paths: RunPaths
) -> None:
    """Two epochs without a checkpoint; trained again, by fewer workers, and saved while no driver noted it."""
    recorder = open_recorder()
    for epoch in range(2):
        recorder.take(epoch_done(epoch))
    again = [epoch_done(epoch, rank_seconds=[7.0], rank_rows=[61], rank_wait_s=[0.0]) for epoch in range(2)]
    recorder.take(restored(1, *again))
    assert [(row["epoch"], row["epoch_s"]) for row in json_lines(paths.metrics)] == [(0, 7.0), (1, 7.0)]


def test_a_phase_is_done_when_the_last_rank_is_past_it_and_only_once(open_recorder: Open, paths: RunPaths) -> None:
    recorder = open_recorder()
    recorder.take(protocol.PhaseDone(rank=0, time=1003.0, name="model"))
    assert kinds(paths) == ["submitted"]
    recorder.take(protocol.PhaseDone(rank=1, time=1005.0, name="model"))
    for rank in (0, 1):  # another group of workers passes it again
        recorder.take(protocol.PhaseDone(rank=rank, time=1100.0, name="model"))
    phases = [event for event in read_events(paths.events) if isinstance(event, events.Phase)]
    assert [(phase.name, phase.since_submit_s) for phase in phases] == [("model", 5.0)]


def test_status_and_metrics_follow_every_event(open_recorder: Open, paths: RunPaths) -> None:
    recorder = open_recorder()

    def status() -> dict[str, Any]:
        return json.loads(paths.status.read_text())  # type: ignore[no-any-return]

    assert (status()["run"], status()["status"], status()["epochs"]) == (RUN, "PENDING", 0)
    recorder.record(events.GroupStarted(workers=2))
    assert status()["status"] == "RUNNING"
    for epoch in range(2):
        recorder.take(epoch_done(epoch, metrics={"loss": 1.0 - epoch / 4}))
    assert status()["metrics"] == {"loss": 0.75}
    assert status()["epochs"] == 2
    assert [(row["epoch"], row["loss"], row["attempt"]) for row in json_lines(paths.metrics)] == [
        (0, 1.0, 1),
        (1, 0.75, 1),
    ]
    recorder.record(events.RunFinished(status="SUCCEEDED", reason="completed"))
    assert (status()["status"], status()["reason"]) == ("SUCCEEDED", "completed")
    assert status() == json.loads(json.dumps(recorder.summary.to_dict()))
    assert not [file for file in paths.root.iterdir() if file.name.startswith(".")]


def test_a_loss_that_is_no_number_is_null_in_every_file(open_recorder: Open, paths: RunPaths) -> None:
    recorder = open_recorder(workers=1)
    recorder.take(epoch_done(metrics={"loss": float("nan"), "accuracy": float("inf")}))
    for text in (paths.events.read_text(), paths.status.read_text(), paths.metrics.read_text()):
        assert "NaN" not in text
        assert "Infinity" not in text
    assert json_lines(paths.metrics)[0]["loss"] is None


def test_epochs_after_the_restored_one_leave_the_metrics(open_recorder: Open, paths: RunPaths) -> None:
    recorder = open_recorder(workers=1)
    for epoch in range(3):
        recorder.take(epoch_done(epoch))
    recorder.take(restored(0))
    assert [row["epoch"] for row in json_lines(paths.metrics)] == [0]
    recorder.take(epoch_done(1, metrics={"loss": 0.25}))
    assert [(row["epoch"], row["loss"]) for row in json_lines(paths.metrics)] == [(0, 0.5), (1, 0.25)]


def test_an_attempt_that_follows_keeps_the_events_of_the_one_before(open_recorder: Open, paths: RunPaths) -> None:
    first = open_recorder()
    first.record(events.GroupStarted(workers=2))
    first.take(epoch_done())
    first.close()
    with paths.events.open("a") as torn:
        torn.write('{"type": "epoch_end", "epo')
    second = open_recorder(attempt=2)
    second.record(events.GroupStarted(workers=2))
    second.take(epoch_done(1))
    attempts = [(event.type, event.attempt) for event in read_events(paths.events)]
    assert attempts == [
        ("submitted", 1),
        ("attempt_started", 1),
        ("epoch_end", 1),
        ("submitted", 2),
        ("attempt_started", 2),
        ("epoch_end", 2),
    ]
    assert [(row["epoch"], row["attempt"]) for row in json_lines(paths.metrics)] == [(0, 1), (1, 2)]
    assert json.loads(paths.status.read_text())["attempts"] == 2


def test_the_mirror_holds_what_the_log_holds_earlier_attempts_included(
    open_recorder: Open, paths: RunPaths, tmp_path: Path
) -> None:
    first = open_recorder(workers=1)
    first.take(epoch_done())
    first.close()
    mirror = tmp_path / "elsewhere" / "mirror.jsonl"
    second = open_recorder(workers=1, attempt=2, mirror=mirror)
    second.take(epoch_done(1))
    second.close()
    assert mirror.read_text() == paths.events.read_text()


def test_a_restart_without_a_checkpoint_forgets_the_lost_groups_epochs(open_recorder: Open, paths: RunPaths) -> None:
    recorder = open_recorder(workers=1)
    recorder.record(events.GroupStarted(workers=1))
    recorder.take(epoch_done(0))
    recorder.take(epoch_done(1))
    recorder.record(events.GroupStarted(workers=1, restart=1))
    recorder.take(epoch_done(0))
    assert [row["epoch"] for row in json_lines(paths.metrics)] == [0]


class _Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "Bad file descriptor")


def _closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize(
    "output", [_closed(), None, _Broken(), io.TextIOWrapper(io.BytesIO(), encoding="ascii")],
    ids=["closed", "none", "broken", "of few characters"],
)  # fmt: skip
def test_an_output_that_takes_no_line_costs_no_event(
    output: Any, open_recorder: Open, paths: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", output)
    open_recorder().record(events.Warned(message="é"))
    assert kinds(paths) == ["submitted", "warned"]
