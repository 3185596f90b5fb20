"""What a terminal may be sent.

Rich is imported only to draw, and interprets no markup in what it gets.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console


def is_terminal(stream: TextIO) -> bool:
    """Whether a live display may be drawn on `stream`: a terminal that knows how to move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def can_draw_blocks(stream: TextIO) -> bool:
    """Whether the encoding of `stream` has the blocks that curves are drawn of."""
    try:
        "▁█".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def terminal_console(stream: TextIO) -> Console:
    """A rich console on a terminal; honours NO_COLOR, interprets no markup."""
    from rich.console import Console

    return Console(file=stream, force_terminal=True, markup=False, highlight=False, emoji=False)
