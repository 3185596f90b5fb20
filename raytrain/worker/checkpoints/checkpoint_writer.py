"""Writes checkpoints in the background: one thread, at most one write at a time, failures tried again.

Runs in: a thread of the chief's process.

Training is never made to wait for storage. A save that comes due while another is being written is left out, and due
again at the next occasion; one that failed and waits to be tried again gives way to a newer one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, perf_counter, time

import numpy as np

from raytrain import protocol
from raytrain.run.events import CheckpointFailed, CheckpointSaved, Event
from raytrain.worker.checkpoints import backoff, checkpoint
from raytrain.worker.checkpoints.checkpoint import Array, Snapshot

# A write may take so many times the slowest one before it, however slow the storage is, before it is given up.
_SLOWEST_WRITES = 4


@dataclass(frozen=True, kw_only=True)
class Save:
    """A snapshot on its way to storage.

    Attributes:
        weights: those of its variables that must be finite for it to be worth keeping.
        blocked_s: how long the training thread stood still to take it.
    """

    snapshot: Snapshot
    weights: list[Array]
    blocked_s: float = 0.0


class Writer:
    """The chief's way to storage; `reclaim`, then `offer`, and `close` at the end.

    Args:
        root: where checkpoints are committed.
        at: called between any two steps of writing.
        publish: called with what was committed, where that is not yet storage; what it raises is tried again.
        shown: how the path of a checkpoint is told.

    Attributes:
        patience_s: how long `reclaim` waits for a write in progress.
    """

    patience_s = 0.0

    def __init__(
        self,
        root: Path,
        *,
        keep: int,
        send: Callable[[protocol.Message], None],
        at: Callable[[Snapshot, str], None] = lambda snapshot, point: None,
        publish: Callable[[Path], None] = lambda path: None,
        shown: Callable[[Path], str] = str,
    ) -> None:
        self._root = root
        self._keep = keep
        self._send = send
        self._at = at
        self._publish = publish
        self._shown = shown
        self._committed: tuple[Snapshot, Path] | None = None
        self._changed = threading.Condition()
        self._waiting: Save | None = None
        self._in_hand: Save | None = None
        self._closing = False
        self._not_before = 0.0
        self._failures = 0
        self._slowest_s = 0.0
        self._told: set[str] = set()
        self._bug: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="raytrain-checkpoint", daemon=True)
        self._thread.start()

    def reclaim(self, *, patience_s: float | None = None) -> bool:
        """Takes back a save that waits to be tried again; False while one is being written or about to be.

        Args:
            patience_s: how long to wait for it, or longer where writes have been slow; not longer when None.

        After True, and until the next `offer`, nothing reads the arrays of an earlier save any more.
        """
        with self._changed:
            limit_s = self.patience_s if patience_s is None else self._lenient(patience_s)
            free = self._changed.wait_for(lambda: self.is_free, limit_s)
            self._raise_bug()
            if free:
                self._waiting = None
            return free

    def offer(self, save: Save) -> None:
        """Hands a save over, after `reclaim` has said that it may be."""
        with self._changed:
            self._waiting = save
            self._changed.notify_all()

    def close(self, *, limit_s: float) -> bool:
        """Ends the thread once all is written; after `limit_s` gives up what could not be, says so, and is False.

        Where writes have been slow it waits longer.
        """
        limit_s = self._lenient(limit_s)
        with self._changed:
            self._closing, self._not_before = True, 0.0
            self._changed.notify_all()
            done = self._changed.wait_for(lambda: self._waiting is None and self._in_hand is None, limit_s)
            left, self._waiting = self._waiting or self._in_hand, None
            self._changed.notify_all()
            self._raise_bug()
        if not done:
            epoch = left.snapshot.epoch if left else -1
            why = "; ".join(sorted(self._told)) or f"storage did not answer for {limit_s:.0f} s"
            self._tell(CheckpointFailed(epoch=epoch, why=why, given_up=True))
        return done

    def _lenient(self, limit_s: float) -> float:
        return max(limit_s, _SLOWEST_WRITES * self._slowest_s)

    @property
    def is_free(self) -> bool:
        """Whether `reclaim` would not have to wait."""
        return self._in_hand is None and (self._waiting is None or self._failures > 0)

    def _run(self) -> None:
        while (save := self._next()) is not None:
            began = perf_counter()
            failure: OSError | None = None
            try:
                self._write(save, began)
            except OSError as error:
                failure = error
            except Exception as error:  # noqa: BLE001  raised again in the training thread
                self._bug = error
            self._done(save, failure)

    def _next(self) -> Save | None:
        """Waits for a save whose time has come; None when there will be no more."""
        with self._changed:
            while self._waiting is None or monotonic() < self._not_before:
                if self._waiting is None and self._closing:
                    return None
                self._changed.wait(None if self._waiting is None else self._not_before - monotonic())
            self._in_hand, self._waiting = self._waiting, None
            return self._in_hand

    def _write(self, save: Save, began: float) -> None:
        snapshot = save.snapshot
        if not all(np.isfinite(weights).all() for weights in save.weights):
            return  # the loss follows in a step or two; the last finite checkpoint is kept
        path = self._commit(snapshot)
        self._publish(path)
        self._failures = 0
        self._slowest_s = max(self._slowest_s, perf_counter() - began)
        self._told.clear()
        self._tell(
            CheckpointSaved(
                epoch=snapshot.epoch,
                step=snapshot.step,
                path=self._shown(path),
                seconds=perf_counter() - began,
                blocked_s=save.blocked_s,
            )
        )

    def _commit(self, snapshot: Snapshot) -> Path:
        """Writes the snapshot, unless that was done before and only its publishing failed."""
        if self._committed is None or self._committed[0] is not snapshot:
            path = checkpoint.write(self._root, snapshot, keep=self._keep, at=lambda point: self._at(snapshot, point))
            self._committed = snapshot, path
        return self._committed[1]

    def _done(self, save: Save, failure: OSError | None) -> None:
        why = "" if failure is None else str(failure.strerror or failure)
        if why and why not in self._told:
            self._tell(CheckpointFailed(epoch=save.snapshot.epoch, why=why))
            self._told.add(why)
        with self._changed:
            self._in_hand = None
            if failure is not None:
                self._failures += 1
                self._not_before = monotonic() + backoff.wait_s(self._failures)
                self._waiting = save
            self._changed.notify_all()

    def _tell(self, event: Event) -> None:
        self._send(protocol.Happened(rank=0, time=time(), event=event))

    def _raise_bug(self) -> None:
        if self._bug is not None:
            raise self._bug
