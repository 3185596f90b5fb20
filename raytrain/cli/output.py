"""The one place that prints: results to stdout, words and progress to stderr.

Text that came from a cluster, a log or a file may hold escape sequences that rewrite a terminal; `clean` takes them
out of everything printed here. Rich is imported only to draw on a terminal, and interprets no markup in what it gets.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_ESCAPE_SEQUENCE = (
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[PX^_\]]|[\x90\x98\x9d\x9e\x9f]).*?(?:\x07|\x1b\\|\x9c|$)"  # OSC, DCS and kin: titles, links, clipboard
    r"|\x1b[ -/]*[0-~]"  # the short ones
)
# All of C0 and C1 but tab and newline, and the marks that turn the direction of text around.
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"


def clean(text: str) -> str:
    """`text` without escape sequences and control characters; tabs and newlines stay, `\\r\\n` becomes `\\n`."""
    if not re.search(_CONTROL, text):
        return text
    return re.sub(_CONTROL, "", re.sub(_ESCAPE_SEQUENCE, "", text.replace("\r\n", "\n"), flags=re.DOTALL))


def is_terminal(stream: TextIO) -> bool:
    """Whether a live display may be drawn on `stream`: a terminal that knows how to move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def terminal_console(stream: TextIO) -> Console:
    """A rich console on a terminal; honours NO_COLOR, interprets no markup."""
    from rich.console import Console

    return Console(file=stream, force_terminal=True, markup=False, highlight=False, emoji=False)


class Output:
    """Where one command's results and words go.

    Attributes:
        json: results are JSON, and so is an error.
        quiet: words and progress are left out; results, warnings and errors stay.
    """

    def __init__(self, *, json: bool = False, quiet: bool = False) -> None:
        self.json = json
        self.quiet = quiet

    def result(self, *lines: str) -> None:
        """Prints lines of the command's answer on stdout."""
        for line in lines:
            print(clean(line), file=sys.stdout, flush=True)  # noqa: T201

    def result_json(self, value: dict[str, Any], *, indent: int | None = 2) -> None:
        """Prints one JSON object on stdout, in ASCII with escapes, so that no control character can be in it."""
        print(_ascii_json(value, indent), file=sys.stdout, flush=True)  # noqa: T201

    def say(self, *lines: str) -> None:
        """Prints words on stderr; nothing with `--quiet`."""
        if not self.quiet:
            self.warn(*lines)

    def warn(self, *lines: str) -> None:
        """Prints words on stderr, `--quiet` or not."""
        for line in lines:
            print(clean(line), file=sys.stderr, flush=True)  # noqa: T201

    def error_json(self, value: dict[str, Any]) -> None:
        """Prints one JSON object, a line, on stderr."""
        print(_ascii_json(value, None), file=sys.stderr, flush=True)  # noqa: T201

    def panel(self, title: str, lines: Iterable[str]) -> None:
        """Prints an error on stderr: a panel on a terminal, indented lines elsewhere."""
        body = [clean(line) for line in lines]
        if is_terminal(sys.stderr):
            terminal_console(sys.stderr).print(_panel(title, body))
        else:
            self.warn(f"error: {title}", *(f"  {line}".rstrip() for line in body))


def _ascii_json(value: dict[str, Any], indent: int | None) -> str:
    import json

    return json.dumps(value, indent=indent, allow_nan=False).replace("\x7f", "\\u007f")


def _panel(title: str, lines: Sequence[str]) -> RenderableType:
    from rich.panel import Panel
    from rich.text import Text

    return Panel(
        Text("\n".join(lines), overflow="fold"), title=Text(clean(title)), title_align="left", border_style="red"
    )
