"""The server's pages in a real browser: let in, filter, compare, and a run that goes on while one looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import raytrain
from tests.browser import open_browser, violations
from tests.cli import lives
from tests.report.long_life import troubled_life

pytestmark = [pytest.mark.processes, pytest.mark.thorough]

OTHER, GOING = "digits-20261120-0716-bbbb", "digits-20261120-0717-cccc"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAYTRAIN_STATE_DIR", str(tmp_path / "state"))
    storage = tmp_path / "storage"
    lives.write_log(storage / lives.RUN, lives.whole_life())
    lives.write_log(storage / OTHER, troubled_life())
    lives.write_log(storage / GOING, [*lives.beginning(epochs=9), lives.epoch(0)])
    return storage


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_from_the_list_to_a_comparison(browser: Any, storage: Path, scheme: str) -> None:
    with raytrain.ui(storage=str(storage)) as pages:
        page = browser.new_context(color_scheme=scheme, bypass_csp=True).new_page()
        page.goto(pages.url)
        assert "token" not in page.url
        assert violations(page) == []
        page.get_by_label("Status").select_option("FAILED")
        page.get_by_role("button", name="Filter").click()
        assert page.locator("tbody tr").count() == 1
        page.goto(f"http://127.0.0.1:{pages.port}/")
        page.get_by_label(f"compare {lives.RUN}").check()
        page.get_by_label(f"compare {OTHER}").check()
        page.get_by_role("button", name="Compare").click()
        assert page.get_by_role("heading", name="What differs").is_visible()
        assert violations(page) == []
        assert page.get_by_role("img").first.locator("path").count() == 2, "a line a run"
        page.get_by_role("link", name=lives.RUN).first.click()
        assert "Yes: loss" in page.inner_text("main")
        assert violations(page) == []
        page.context.close()


def test_a_run_that_goes_on_is_seen_to_go_on(browser: Any, storage: Path) -> None:
    with raytrain.ui(storage=str(storage)) as pages:
        page = browser.new_page()
        refused: list[str] = []
        page.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
        page.goto(pages.url)
        page.goto(f"http://127.0.0.1:{pages.port}/runs/{GOING}")
        assert "One epoch tells little" in page.inner_text("main")
        lives.write_log(storage / GOING, [lives.epoch(1), lives.epoch(2)])
        page.get_by_text("in 3 epochs").first.wait_for(timeout=60_000)
        assert page.evaluate("document.body.dataset.live") == "yes"
        assert refused == []
        page.close()
