"""Empties the mailbox into the recorder while a worker group runs.

Runs in: a thread of the driver.
"""

from __future__ import annotations

from typing import Any, Self

import ray

from raytrain import protocol
from raytrain.driver.rank_progress import RankProgress
from raytrain.driver.recorder import Recorder
from raytrain.errors import Failure
from raytrain.periodic import Periodic
from raytrain.run import events
from raytrain.worker.fault_injection import Injector

_WAIT_S = 1.0
_REST_S = 0.05  # many messages at a time


class MailboxReader:
    """A context: messages are collected until it is left, and all that were sent before are in.

    Attributes:
        errors: what failing ranks reported, in order of arrival.
        finished_ranks: how many ranks said that they are done.
        reason: why training ended, from the last rank that is done.
        stopped: the workers' decision to stop; None when they took none.
        progressed: an epoch or a checkpoint was done.
    """

    def __init__(self, mailbox: Any, recorder: Recorder, progress: RankProgress, injector: Injector) -> None:
        self._mailbox = mailbox
        self._recorder = recorder
        self._progress = progress
        self._injector = injector
        self._reading = Periodic(lambda: self._take(_WAIT_S), every_s=_REST_S, name="raytrain-reader")
        self.errors: list[Failure] = []
        self.finished_ranks = 0
        self.reason = ""
        self.stopped: events.TrainingEnded | None = None
        self.progressed = False

    def __enter__(self) -> Self:
        self._reading.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._reading.end()
        self._take(0.0)

    def _take(self, wait_s: float) -> None:
        for message in ray.get(self._mailbox.take.remote(wait_s)):
            self._progress.note(message)
            if self._progress.position is not None:
                self._injector.strike_driver(*self._progress.position)
            match message:
                case protocol.Heartbeat():
                    pass
                case protocol.Failed():
                    self.errors.append(message.failure)
                case protocol.Finished():
                    self.finished_ranks += 1
                    self.reason = str(message.reason)
                case protocol.Happened(event=event):
                    if isinstance(event, events.TrainingEnded):
                        self.stopped = event
                    self.progressed |= isinstance(event, (events.EpochEnd, events.CheckpointSaved))
                    self._record(message)
                case _:
                    self._record(message)

    def _record(self, message: protocol.Message) -> None:
        """A message that cannot be recorded is no reason to leave those that follow; the run's verdict tells of it."""
        try:
            self._recorder.take(message)
        except Exception as error:  # noqa: BLE001  whatever it is, the run goes on
            what = type(message.event if isinstance(message, protocol.Happened) else message).__name__
            text = f"{what} of rank {message.rank} could not be recorded: {error!r}"
            self._recorder.record(events.Warned(message=text))
