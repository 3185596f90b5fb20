"""Follows a run's event log for one tracker, and keeps in the run's directory how much of it the tracker was told."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from raytrain.driver.trackers.tracker import NewEvents, TrackedRun, Tracker
from raytrain.files import write_whole
from raytrain.run.event_log import EventReader
from raytrain.run.events import Event
from raytrain.run.run_paths import RunPaths

_LOOK_EVERY_S = 1.0
_MOST_AT_ONCE = 200
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 60.0


class Follower:
    """Tells one tracker of a run's events until it is told to end.

    Args:
        open_tracker: makes the tracker; what it raises is tried again, too.
        say: is given a sentence when the tracker begins to fail, and when it works again.
        ending: set when the run has ended; then what is left is tried once more, and left if that fails.
    """

    def __init__(
        self,
        kind: str,
        run: TrackedRun,
        open_tracker: Callable[[TrackedRun], Tracker],
        *,
        say: Callable[[str], None],
        ending: threading.Event,
        look_every_s: float = _LOOK_EVERY_S,
        first_pause_s: float = _FIRST_PAUSE_S,
    ) -> None:
        self._kind, self._run, self._open = kind, run, open_tracker
        self._say, self._ending = say, ending
        self._look_every_s, self._first_pause_s = look_every_s, first_pause_s
        self._file = run.paths.tracker(kind)
        kept = read_position(run.paths, kind)
        self.told = int(kept.get("told", 0))
        run.state.update(kept.get("state") or {})
        self._new = NewEvents(EventReader(run.paths.events), self.told)
        self._waiting: deque[tuple[Event, bool]] = deque()
        self._tracker: Tracker | None = None
        self._failing = ""

    def follow(self) -> bool:
        """Returns when all is told and the run has ended, or could not be told then; whether all was."""
        pause_s = self._first_pause_s
        while True:
            was_ending = self._ending.is_set()  # asked first: what was written before is read after
            self._waiting.extend(self._new)
            if not self._waiting or self._tell():
                pause_s = self._first_pause_s
                if self._waiting:
                    continue
                if was_ending:
                    return self._close()
                self._ending.wait(self._look_every_s)
            elif was_ending:
                self._say(f"{self._kind} lacks the run's last {len(self._waiting)} events: {self._failing}")
                return False
            else:
                self._ending.wait(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _tell(self) -> bool:
        """Whether the tracker took the next events, and that is kept."""
        batch = [self._waiting[index] for index in range(min(_MOST_AT_ONCE, len(self._waiting)))]
        try:
            if self._tracker is None:
                self._tracker = self._open(self._run)
            self._tracker.take([event for event, is_new in batch if is_new])
            self.told += len(batch)
            self._keep()
        except Exception as error:  # noqa: BLE001  whatever a tracker is made of, the run goes on
            self.told = int(read_position(self._run.paths, self._kind).get("told", 0))
            self._fail(error)
            return False
        for _ in batch:
            self._waiting.popleft()
        if self._failing:
            self._say(f"{self._kind} works again")
            self._failing = ""
        return True

    def _keep(self) -> None:
        self._file.parent.mkdir(exist_ok=True)
        write_whole(self._file, json.dumps({"told": self.told, "state": self._run.state}))

    def _close(self) -> bool:
        if self._tracker is None:
            return True
        try:
            self._tracker.close()
        except Exception as error:  # noqa: BLE001  as above
            self._fail(error)
            return False
        return True

    def _fail(self, error: Exception) -> None:
        """Says it once, however long it lasts."""
        text = " ".join(str(error).split())[:300] or type(error).__name__
        if not self._failing:
            self._say(f"{self._kind} cannot be told now, and the run goes on: {text}")
        self._failing = text


def read_position(paths: RunPaths, kind: str) -> dict[str, Any]:
    """What is kept of a tracker; nothing of one that was told nothing, or whose file is damaged."""
    try:
        kept = json.loads(paths.tracker(kind).read_text())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}
