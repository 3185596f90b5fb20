"""Links and pictures of all pages lead somewhere."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, prose, sections

LINKED = PAGES | {"CHANGELOG.md": (ROOT / "CHANGELOG.md").read_text()}
PICTURES = sorted(path for path in ROOT.glob("docs/pictures/*") if path.suffix in (".png", ".svg"))


def targets(text: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", text)


def anchors(page: str) -> set[str]:
    """What GitHub and MkDocs make of a page's headings."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading, _ in sections(page)}


def test_there_are_links() -> None:
    assert sum(len(targets(text)) for text in LINKED.values()) > 40


@pytest.mark.parametrize("page", LINKED)
def test_links_lead_somewhere(page: str) -> None:
    for target in targets(LINKED[page]):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        place = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
        assert (ROOT / place).is_file(), target
        assert not anchor or anchor in anchors(place), target


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_picture_is_small_and_shown(picture: Path) -> None:
    content = picture.read_bytes()
    assert content.startswith((b"\x89PNG\r\n\x1a\n", b"<svg "))
    assert len(content) < 300_000
    assert any(f"pictures/{picture.name})" in prose(page) for page in PAGES)
