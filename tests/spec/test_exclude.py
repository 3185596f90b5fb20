"""Tests of the patterns that leave files out; what is expected of each is asked of git itself."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence

import pytest

from raytrain.errors import SpecError
from raytrain.spec.exclude import ALWAYS, Excludes, pattern_of

PATHS = (
    "a", "b", "!a", "#a", "a b", "a*b", "axb", "a.csv", "b.csv.txt", "keep.csv", "x[1].csv", "x1.csv", "foobar",
    "foo/x/bar", "foox/bar", "data", "src/data/b", "src/data/x.csv", "src/keep/cache/a", "src/keep/b", "raw/c.csv",
    "raw/deep/c.csv", "raw/deep/keep.csv",
)  # fmt: skip


@pytest.fixture(scope="module")
def kept_by_git(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sequence[str]], set[str]]:
    """Which of `PATHS` git does not ignore."""
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed")
    folder = tmp_path_factory.mktemp("checkout")
    subprocess.run([git, "init", "--quiet"], cwd=folder, check=True)
    for path in PATHS:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()

    def kept(patterns: Sequence[str]) -> set[str]:
        (folder / ".git/info").mkdir(exist_ok=True)
        (folder / ".git/info/exclude").write_text("\n".join(patterns) + "\n")
        asked = subprocess.run(
            [git, "-c", "core.excludesFile=", "check-ignore", "--no-index", "-z", "--stdin"],
            input="\0".join(PATHS), capture_output=True, text=True, cwd=folder, check=False,
        )  # fmt: skip
        assert asked.returncode in (0, 1), asked.stderr
        return {*PATHS} - {*asked.stdout.split("\0")}

    return kept


@pytest.mark.parametrize(
    "patterns",
    [
        ["*.csv"],
        ["/a.csv"],
        ["/c.csv"],
        ["data"],
        ["data/"],
        ["/data/"],
        ["src/data"],
        ["deep/c.csv"],
        ["raw/*.csv"],
        ["**/data"],
        ["foo/**/bar"],
        ["raw/**"],
        ["**"],
        ["foo**bar"],
        ["?"],
        ["a\\*b"],
        ["a*b"],
        ["a b"],
        ["[ab]"],
        ["[!ab]"],
        ["x[1].csv"],
        ["x\\[1\\].csv"],
        ["["],
        ["# a"],
        ["#a"],
        ["\\#a"],
        [""],
        ["/"],
        ["\\!a"],
        ["*.csv  "],
        ["data/ "],
        ["*.csv", "!keep.csv"],
        ["*.csv", "!keep.csv", "/keep.csv"],
        ["raw/", "!raw/deep/keep.csv"],
        ["raw/*", "!raw/deep/"],
        ["*", "!src/", "!*.csv"],
        ["cache", "!keep"],
        ["cache/", "!keep/"],
        ["deep/", "!raw/*/"],
    ],
)
def test_patterns_mean_what_git_takes_them_for(
    patterns: list[str], kept_by_git: Callable[[Sequence[str]], set[str]]
) -> None:
    excludes = Excludes(patterns)

    assert {path for path in PATHS if not excludes.left_out(path)} == kept_by_git(patterns)


def test_what_lies_in_a_folder_is_left_out_with_it() -> None:
    excludes = Excludes(["raw/", "!raw/deep/keep.csv"])

    assert excludes.left_out("raw/deep/keep.csv") == "raw/"
    assert excludes.pattern_against("raw/") == "raw/"
    assert excludes.pattern_against("raw") == ""


def test_the_pattern_at_fault_is_the_last_that_matches() -> None:
    excludes = Excludes(["# tables", "*.csv", "!keep.csv", "/keep.csv"])

    assert excludes.pattern_against("a.csv") == "*.csv"
    assert excludes.pattern_against("deep/keep.csv") == ""
    assert excludes.pattern_against("keep.csv") == "/keep.csv"


@pytest.mark.parametrize("name", ALWAYS)
def test_what_is_never_uploaded(name: str) -> None:
    excludes = Excludes([f"!{name}", "!*"])

    assert excludes.pattern_against(f"deep/{name}/") == name
    assert excludes.left_out(f"deep/{name}/a.csv") == f"deep/{name}/"


@pytest.mark.parametrize("pattern", ["a\\", "!", "[z-a]", "[[:digit:]].csv"])
def test_a_pattern_that_cannot_be_read_is_refused(pattern: str) -> None:
    with pytest.raises(SpecError) as caught:
        Excludes(["*.csv", pattern])

    [problem] = caught.value.problems
    assert problem.got.startswith(f"{pattern!r}, which cannot be read (")
    assert problem.field == "environment.exclude"


@pytest.mark.parametrize("path", ["x[1].csv", "a*b", "!a", "a\\b"])
def test_the_pattern_of_one_path_is_of_no_other(path: str) -> None:
    excludes = Excludes([pattern_of(path)])

    assert [tried for tried in (path, "x1.csv", "axb", "a", "ab") if excludes.left_out(tried)] == [path]
