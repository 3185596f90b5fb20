"""CHANGELOG.md is for people: a line an entry, and its newest section is the version that this is."""

from __future__ import annotations

import re

from raytrain import __version__
from tests.docs.pages import ROOT

TEXT = (ROOT / "CHANGELOG.md").read_text()


def test_the_newest_section_is_this_version() -> None:
    versions = re.findall(r"^## \[([\d.]+)\]", TEXT, re.MULTILINE)
    assert versions[0] == __version__
    assert versions == sorted(versions, key=lambda version: [*map(int, version.split("."))], reverse=True)


def test_an_entry_is_one_line() -> None:
    entries = TEXT.partition("\n## ")[2].splitlines()
    assert [line for line in entries if line.startswith(" ")] == []
    assert max(map(len, entries)) <= 120


def test_the_kinds_of_entries_are_those_of_keep_a_changelog() -> None:
    kinds = set(re.findall(r"^### (.+)$", TEXT, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
