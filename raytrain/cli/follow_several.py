"""Follows several runs to their ends for `watch RUN RUN`, and prints what each came to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from raytrain.cli.display.run_result import exit_code
from raytrain.cli.follow import say_detached
from raytrain.cli.output import Output
from raytrain.client.display.run_phrases import takeover_lines, verdict
from raytrain.client.run_view import RunView
from raytrain.client.takeover import Takeover
from raytrain.client.watch import Idle, StatusChange
from raytrain.client.watch_several import watch_several
from raytrain.errors import ExitCode
from raytrain.run.event_json import to_json


def follow_several(views: Sequence[RunView], out: Output, *, stream: TextIO, timeout_s: float | None) -> ExitCode:
    """Shows the runs until all have ended.

    Returns:
        OK where all SUCCEEDED, else the code of the first that did not.
    """
    from raytrain.client.display.side_by_side import SideBySide

    display = None if out.json or out.quiet else SideBySide([v.record.run for v in views], stream, write=out.result)
    errors = {}
    try:
        for seen in watch_several(views, timeout_s=timeout_s):
            item = seen.item
            if seen.error:
                errors[seen.run] = seen.error
            elif isinstance(item, Takeover):
                out.warn(*(f"{seen.run}: {line}" for line in takeover_lines(item)))
            elif display and item is not None:
                display.show(seen.run, item, seen.summary)
            elif out.json and item is not None and not isinstance(item, Idle):
                out.result_json(item.to_dict() if isinstance(item, StatusChange) else to_json(item), indent=None)
    except KeyboardInterrupt:
        for view in views:
            say_detached(view.record.run, out)
        raise
    finally:
        if display:
            display.close()
    for view in () if out.json else views:
        out.result(*verdict(view.summary))
    for run, error in errors.items():
        out.warn(f"{run}: {error}")
    codes = [errors[v.record.run].exit_code if v.record.run in errors else exit_code(v.summary.status) for v in views]
    return next((code for code in codes if code is not ExitCode.OK), ExitCode.OK)
