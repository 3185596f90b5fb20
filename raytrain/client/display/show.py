"""Shows a run's progress while its stream is gone through from Python: in a notebook's cell, or in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from raytrain.clean_text import clean
from raytrain.client.display.plain import PlainDisplay
from raytrain.client.display.progress import Display
from raytrain.client.display.run_phrases import takeover_lines
from raytrain.client.display.terminal import is_terminal
from raytrain.client.run_view import RunView
from raytrain.client.takeover import Item, Takeover


def shown(items: Iterable[Item], view: RunView, *, progress: bool | None, in_terminal: bool) -> Iterator[Item]:
    """The same items, each shown as it is given.

    Args:
        view: of the run, to which each item has been added.
        progress: False shows nothing, True shows lines even where there is neither notebook nor terminal.
        in_terminal: whether a terminal is drawn on where `progress` is None.
    """
    display = _display(progress, in_terminal=in_terminal)
    try:
        for item in items:
            if display and isinstance(item, Takeover):
                for line in takeover_lines(item):
                    display.note(line)
            elif display and not isinstance(item, Takeover):
                display.show(item, view.summary)
            yield item
    finally:
        if display:
            display.close()


def _display(progress: bool | None, *, in_terminal: bool) -> Display | None:
    if progress is False:
        return None
    if in_notebook():
        from raytrain.client.display.notebook import NotebookDisplay

        return NotebookDisplay()
    if is_terminal(sys.stderr) and (progress or in_terminal):
        from raytrain.client.display.live import LiveDisplay

        return LiveDisplay(sys.stderr)
    return PlainDisplay(say, say) if progress else None


def say(line: str) -> None:
    """Prints a line of progress."""
    print(clean(line), file=sys.stderr, flush=True)  # noqa: T201


def in_notebook() -> bool:
    """Whether this process is a Jupyter kernel, whose cells show HTML; IPython in a terminal is none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return getattr(shell, "kernel", None) is not None
