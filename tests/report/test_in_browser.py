"""The page in a real browser: opened from disk, read by keyboard, in light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raytrain.run.events import Event
from tests.browser import open_browser, violations
from tests.cli import lives
from tests.report.long_life import hostile_life, long_life, page_of, troubled_life

pytestmark = [pytest.mark.processes, pytest.mark.thorough]

LIVES: dict[str, list[Event]] = {
    "good": lives.whole_life(),
    "begun": lives.whole_life()[:3],
    "long": long_life(200, 16),
    "troubled": troubled_life(),
    "hostile": hostile_life(),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    path.write_text(page_of(LIVES[request.param]))
    return path


@pytest.mark.parametrize("file", LIVES, indirect=True)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(browser: Any, file: Path, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)  # which would keep axe-core out, too
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("dialog", lambda dialog: wrong.append("a dialog"))
    page.on("request", lambda asked: wrong.append(asked.url) if asked.url != file.as_uri() else None)
    page.goto(file.as_uri())

    assert violations(page) == []
    assert wrong == []
    assert page.title().startswith(lives.RUN)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[scheme]
    context.close()


@pytest.mark.parametrize("file", ["good", "long", "hostile"], indirect=True)
@pytest.mark.parametrize("width", [320, 1400])
def test_it_fits_the_window(browser: Any, file: Path, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 700})
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


@pytest.mark.parametrize("file", ["good"], indirect=True)
def test_the_keyboard_reaches_all_of_it(browser: Any, file: Path) -> None:
    page = browser.new_page()
    page.goto(file.as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.tagName")
        )
    assert {"Epochs", "Ranks", "Attempts and events", "Where the time went"} <= reached
    page.close()


@pytest.mark.parametrize("file", ["long"], indirect=True)
def test_curves_are_drawn_and_told(browser: Any, file: Path) -> None:
    page = browser.new_page()
    page.goto(file.as_uri())
    charts = page.get_by_role("img")
    assert charts.count() == 7
    [train, validation] = [path.bounding_box() for path in charts.first.locator("path").all()]
    assert min(train["width"], validation["width"]) > 200
    assert min(train["height"], validation["height"]) > 50
    assert "2.3000 in epoch 1" in charts.first.locator("desc").text_content()
    page.close()
