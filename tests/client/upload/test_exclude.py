"""Tests of the patterns that leave files out; the expectations are git's own, see gitignore(5)."""

from __future__ import annotations

import pytest

from raytrain.client.upload.exclude import Excludes


@pytest.mark.parametrize(
    ("pattern", "path", "is_folder", "expected"),
    [
        ("*.csv", "a.csv", False, True),
        ("*.csv", "deep/er/a.csv", False, True),
        ("*.csv", "a.csv.txt", False, False),
        ("/a.csv", "a.csv", False, True),
        ("/a.csv", "deep/a.csv", False, False),
        ("data/", "data", True, True),
        ("data/", "data", False, False),
        ("data/", "deep/data", True, True),
        ("data/raw", "data/raw", True, True),
        ("data/raw", "deep/data/raw", True, False),
        ("data/*.csv", "data/a.csv", False, True),
        ("data/*.csv", "data/deep/a.csv", False, False),
        ("**/raw", "a/b/raw", True, True),
        ("**/raw", "raw", True, True),
        ("a/**/b", "a/b", True, True),
        ("a/**/b", "a/x/y/b", True, True),
        ("a/**", "a/x/y", False, True),
        ("a/**", "a", True, False),
        ("?.txt", "a.txt", False, True),
        ("?.txt", "ab.txt", False, False),
        ("[ab].txt", "a.txt", False, True),
        ("[!ab].txt", "a.txt", False, False),
        ("[!ab].txt", "c.txt", False, True),
        ("a+b(1).txt", "a+b(1).txt", False, True),
        ("# *.csv", "a.csv", False, False),
        ("", "a.csv", False, False),
        ("\\!a", "!a", False, True),
        ("*.csv  ", "a.csv", False, True),
    ],
)
def test_one_pattern(pattern: str, path: str, is_folder: bool, expected: bool) -> None:
    assert Excludes([pattern]).excluded(path, is_folder=is_folder) is expected


def test_the_last_match_wins() -> None:
    excludes = Excludes(["*.csv", "!keep.csv", "/keep.csv"])

    assert excludes.excluded("a.csv", is_folder=False)
    assert not excludes.excluded("deep/keep.csv", is_folder=False)
    assert excludes.excluded("keep.csv", is_folder=False)


@pytest.mark.parametrize("name", [".git", ".venv", "__pycache__", ".raytrain"])
def test_what_is_never_uploaded(name: str) -> None:
    assert Excludes([f"!{name}"]).excluded(f"deep/{name}", is_folder=True)
