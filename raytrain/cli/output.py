"""The one place that prints: results to stdout, words and progress to stderr, cleaned of escape sequences."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from raytrain.clean_text import clean
from raytrain.client.display.terminal import is_terminal, terminal_console

if TYPE_CHECKING:
    from rich.console import RenderableType


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
