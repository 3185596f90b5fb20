"""Progress where there is no terminal: a line an epoch, a heartbeat while nothing happens."""

from __future__ import annotations

from raytrain.client.display.plain import PlainDisplay
from raytrain.client.run_state import Verdict, join
from raytrain.client.watch import Idle, StatusChange
from raytrain.run.event_lines import epoch_line
from raytrain.run.events import Event
from raytrain.run.run_status import RunStatus
from raytrain.run.summary import RunSummary
from tests.cli.lives import RUN, beginning, epoch, whole_life


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def shown(items: list[Event | StatusChange | Idle], clock: Clock, step_s: float = 0.0) -> list[str]:
    lines: list[str] = []
    display = PlainDisplay(lines.append, lines.append, clock=clock)
    told, verdict = RunSummary(run=RUN), Verdict(status=RunStatus.PENDING)
    for item in items:
        clock.now += step_s
        if isinstance(item, Event):
            told.add(item)
        elif isinstance(item, StatusChange):
            verdict = item
        display.show(item, join(told, verdict, attempt=1))
    display.close()
    return lines


def change(status: RunStatus, message: str = "", *, final: bool = False) -> StatusChange:
    return StatusChange(run=RUN, attempt=1, time=0.0, status=status, message=message, final=final)


def test_an_epochs_line() -> None:
    assert epoch_line(epoch(2), 10) == (
        "epoch 3/10 loss=0.1667 accuracy=0.9000 val_loss=0.2667 val_accuracy=0.8800 0.41s 3500 rows/s"
    )


def test_one_line_an_epoch() -> None:
    lines = shown([*whole_life(epochs=3)], Clock())

    assert [line.split()[1] for line in lines] == ["1/3", "2/3", "3/3"]


def test_a_heartbeat_each_minute_of_silence() -> None:
    pending = change(RunStatus.PENDING, "waiting for a node")

    lines = shown([pending, *[Idle()] * 150], Clock(), step_s=1.0)

    assert lines == [
        "pending: waiting for the cluster (waiting for a node) (60.0s)",
        "pending: waiting for the cluster (waiting for a node) (2m00s)",
    ]


def test_no_heartbeat_while_epochs_come_in() -> None:
    busy = [item for number in range(5) for item in (epoch(number), Idle())]

    lines = shown([*beginning(epochs=5), *busy], Clock(), step_s=20.0)

    assert all(line.startswith("epoch") for line in lines)
