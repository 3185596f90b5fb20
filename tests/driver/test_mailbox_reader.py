"""The reader with a mailbox in this process: what it does with messages needs no cluster."""

from __future__ import annotations

import queue
from pathlib import Path
from typing import Any, cast

import pytest
import ray

from raytrain.driver.mailbox_reader import MailboxReader
from raytrain.driver.rank_progress import RankProgress
from raytrain.driver.recorder import Recorder
from raytrain.errors import Failure
from raytrain.protocol import Failed, Finished, Happened, Heartbeat, Message
from raytrain.run import events
from raytrain.worker.fault_injection import DRIVER, Injector


class LocalMailbox:
    """Stands for the actor's handle; `ray.get` of what `take.remote` returns is that itself."""

    def __init__(self) -> None:
        self.put: queue.Queue[Message] = queue.Queue()

    @property
    def take(self) -> LocalMailbox:
        return self

    def remote(self, wait_s: float) -> list[Message]:
        try:
            found = [self.put.get(timeout=min(wait_s, 0.01)) if wait_s else self.put.get_nowait()]
        except queue.Empty:
            return []
        while not self.put.empty():
            found.append(self.put.get_nowait())
        return found


class Taken(list[Message]):
    """Stands for the recorder: keeps what it is given."""

    def take(self, message: Message) -> None:
        self.append(message)


def happened(event: events.Event, rank: int = 0) -> Message:
    return Happened(rank=rank, time=0.0, event=event)


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> LocalMailbox:
    def get(taken: Any) -> Any:
        return taken

    monkeypatch.setattr(ray, "get", get)
    return LocalMailbox()


def collect(mailbox: LocalMailbox, recorder: Taken) -> MailboxReader:
    return MailboxReader(mailbox, cast(Recorder, recorder), RankProgress(2), Injector(None, root=Path(), rank=DRIVER))


def test_messages_go_to_the_recorder_and_ends_are_kept(mailbox: LocalMailbox) -> None:
    recorder = Taken()
    notices: list[Message] = [happened(events.Warned(message=str(rank)), rank) for rank in range(3)]
    with collect(mailbox, recorder) as reader:
        for message in notices:
            mailbox.put.put(message)
        mailbox.put.put(Failed(rank=1, time=0.0, failure=Failure(kind="A", message="")))
        mailbox.put.put(Failed(rank=0, time=0.0, failure=Failure(kind="B", message="")))
        mailbox.put.put(Finished(rank=0, time=0.0, reason="early_stopped"))
        mailbox.put.put(Finished(rank=1, time=0.0, reason="early_stopped"))
    assert recorder == notices
    assert [error.kind for error in reader.errors] == ["A", "B"]
    assert (reader.finished_ranks, reader.reason) == (2, "early_stopped")


def test_heartbeats_go_to_the_pulse_alone(mailbox: LocalMailbox) -> None:
    recorder = Taken()
    beat = Heartbeat(rank=0, time=9.0, phase="train", epoch=1, step=3, stalled_s=1.0)
    with collect(mailbox, recorder) as reader:
        mailbox.put.put(beat)
    assert recorder == []
    assert reader.progressed is False


def test_what_was_done_and_where_it_was_stopped_is_kept(mailbox: LocalMailbox) -> None:
    with collect(mailbox, Taken()) as reader:
        mailbox.put.put(happened(events.CheckpointSaved(epoch=2, path="p", seconds=0.1)))
        mailbox.put.put(happened(events.TrainingEnded(epoch=3, reason="fall_back", message="")))
    assert reader.progressed
    assert reader.stopped is not None
    assert reader.stopped.epoch == 3


def test_what_comes_after_the_threads_last_look_is_in_when_it_is_left(
    mailbox: LocalMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remote(wait_s: float) -> list[Message]:
        return [] if wait_s else [happened(events.Warned(message="last words"))]

    monkeypatch.setattr(mailbox, "remote", remote)
    recorder = Taken()
    with collect(mailbox, recorder):
        pass
    assert len(recorder) == 1


def test_it_is_left_when_the_group_raises(mailbox: LocalMailbox) -> None:
    recorder = Taken()
    with pytest.raises(ZeroDivisionError), collect(mailbox, recorder):
        mailbox.put.put(happened(events.Warned(message="first")))
        raise ZeroDivisionError
    assert len(recorder) == 1
    mailbox.put.put(happened(events.Warned(message="for the next group")))
    assert len(recorder) == 1


def test_a_message_that_cannot_be_recorded_costs_only_itself(
    mailbox: LocalMailbox,
) -> None:
    told: list[str] = []

    class Refusing(Taken):
        def record(self, event: events.Event) -> None:
            assert isinstance(event, events.Warned)
            told.append(event.message)

        def take(self, message: Message) -> None:
            if message.rank == 1:
                raise KeyError("epoch")
            super().take(message)

    recorder = Refusing()
    with collect(mailbox, recorder) as reader:
        for rank in range(3):
            mailbox.put.put(happened(events.Warned(message=str(rank)), rank))
        mailbox.put.put(Finished(rank=0, time=0.0, reason="completed"))
    assert [message.rank for message in recorder] == [0, 2]
    assert reader.finished_ranks == 1
    assert told == ["Warned of rank 1 could not be recorded: KeyError('epoch')"]
