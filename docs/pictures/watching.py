"""Takes the pictures of docs/watching.md from a run's directory: the live table, the page, the list of runs.

    python -m docs.pictures.watching ~/raytrain/digits-20261120-0715-4f2a

The live table is drawn as it stood after the seventh epoch. Chromium must be installed (`apt install chromium`).
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

import raytrain
from raytrain.client.display.live import picture
from raytrain.run.event_log import read_events
from raytrain.run.events import EpochEnd
from raytrain.run.summary import RunSummary
from tests.browser import open_browser

FOLDER = Path(__file__).parent
_WIDE = 96
_EPOCHS = 7


def main() -> None:
    [run] = map(Path, sys.argv[1:])
    take(run.expanduser())


def take(run: Path) -> None:
    """Writes `watch.png`, `report.png` and `ui.png`."""
    with tempfile.TemporaryDirectory() as folder, open_browser() as browser:
        file = Path(folder)
        (file / "watch.html").write_text(_terminal(run))
        _draw(browser, (file / "watch.html").as_uri(), FOLDER / "watch.png", wide=860, tall=320)
        report = raytrain.get(str(run)).report(file / "report.html").file
        _draw(browser, report.as_uri(), FOLDER / "report.png", wide=1100, tall=760)
        with raytrain.ui(storage=str(run.parent)) as pages:
            _draw(browser, pages.url, FOLDER / "ui.png", wide=1100, tall=420)


def _terminal(run: Path) -> str:
    """The live table as a web page."""
    summary = RunSummary(run=run.name)
    for event in read_events(run / "events.jsonl"):
        summary.add(event)
        if isinstance(event, EpochEnd) and event.epoch + 1 == _EPOCHS:
            break
    console = Console(record=True, width=_WIDE, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(picture(summary, waited_s=0.0, since_epoch_s=summary.newest_row().epoch_s / 2, width=_WIDE))
    style = (
        '<body style="background:#0d1117;color:#e6edf3;font-size:15px;margin:14px"><pre style="font-family:monospace">'
    )
    return f'<meta charset="utf-8">{style}{console.export_html(inline_styles=True, code_format="{code}")}</pre></body>'


def _draw(browser: Any, address: str, picture_file: Path, *, wide: int, tall: int) -> None:
    page = browser.new_page(viewport={"width": wide, "height": tall})
    page.goto(address)
    page.screenshot(path=str(picture_file))
    page.close()


if __name__ == "__main__":
    main()
