"""The site that `make docs` builds: without a warning, of all pages, and with nothing fetched from elsewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, README, ROOT

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("mkdocs"), reason="mkdocs, of the extra `docs`, is not installed"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        build, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_it_has_every_page(site: Path) -> None:
    names = {Path(page).with_suffix(".html").name for page in PAGES if page != README}
    assert names | {"index.html"} <= {path.name for path in site.iterdir()}
    assert '<h2 id="your-own-job">' in (site / "index.html").read_text()
    assert "0.1.0" in (site / "repository" / "CHANGELOG.html").read_text()


def test_links_into_the_repository_lead_to_what_they_name(site: Path) -> None:
    """MkDocs' own check is of pages only, not of what links to files come to."""
    for page in site.rglob("*.html"):
        for target in re.findall(r'(?:href|src)="([^"#:]+)[^":]*"', page.read_text()):
            if page.name != "404.html":  # it may be shown in any folder, so its links begin at the site's root
                assert (page.parent / target).exists(), (page.name, target)


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*(?:https?:)?//[^>]*>", text) == [], page.name
        assert 'class="mermaid"' not in text, page.name  # its script would be fetched
    for sheet in site.rglob("*.css"):
        assert re.findall(r'url\(["\']?(?:https?:)?//|@import', sheet.read_text()) == [], sheet.name


def test_programs_are_left_out(site: Path) -> None:
    assert [path for path in site.rglob("*") if path.suffix in (".py", ".yaml") and path.name != "cluster.yaml"] == []
