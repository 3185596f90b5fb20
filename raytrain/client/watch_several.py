"""The streams of several runs as one: each is followed in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from raytrain.client.run_view import RunView
from raytrain.client.takeover import Deadline, Item, follow
from raytrain.errors import RaytrainError
from raytrain.run.summary import RunSummary


@dataclass(frozen=True, kw_only=True)
class Seen:
    """An item of one run's stream, and how that run stands with it; or the error with which its stream ended."""

    run: str
    summary: RunSummary
    item: Item | None = None
    error: RaytrainError | None = None


def watch_several(views: Sequence[RunView], *, timeout_s: float | None = None) -> Iterator[Seen]:
    """Every item of every run, as it comes, until all have ended.

    Args:
        views: of the runs.
        timeout_s: how long to stay at most; the runs go on.
    """
    seen: queue.Queue[Seen | None] = queue.Queue(maxsize=10_000)

    def follow_one(view: RunView) -> None:
        run = view.record.run
        try:
            for item in follow(view, deadline=Deadline(run, timeout_s), resubmits=True):
                seen.put(Seen(run=run, summary=view.summary, item=item))
        except RaytrainError as error:
            seen.put(Seen(run=run, summary=view.summary, error=error))
        finally:
            seen.put(None)

    for view in views:
        threading.Thread(target=follow_one, args=(view,), daemon=True).start()
    going = len(views)
    while going:
        item = seen.get()
        if item is None:
            going -= 1
        else:
            yield item
