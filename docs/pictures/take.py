"""Takes the pictures anew: submits jobs/digits, keeps its curves, its page in the Ray dashboard, and those of watching.

    python -m docs.pictures.take

The page is drawn by Chromium, which must be installed (`apt install chromium`). Compare the output in README.md with
what this prints: text and pictures should be of one run.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from docs.pictures import watching

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Of the browser's own clock, which runs ahead while it waits: enough for the dashboard to load the log.
_PATIENCE_MS = 20_000


def main() -> None:
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit(f"no browser to draw the dashboard with: install one of {', '.join(BROWSERS)}")
    submit = [sys.executable, "-m", "raytrain", "submit", "jobs/digits", "--json"]
    run = json.loads(subprocess.run(submit, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout)
    shutil.copyfile(Path(run["storage"]) / "curves.png", FOLDER / "curves.png")
    draw_page(browser, run["dashboard_url"], FOLDER / "dashboard.png")
    watching.take(Path(run["storage"]))


def draw_page(browser: str, url: str, picture: Path) -> None:
    """Writes a PNG of a web page as it looks once its scripts have come to rest."""
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1400,1050"]
    wait = [f"--virtual-time-budget={_PATIENCE_MS}", f"--screenshot={picture}"]
    subprocess.run([browser, *options, *wait, url], check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
