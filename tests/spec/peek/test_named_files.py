import errno
import glob
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from raytrain.client.upload.upload_plan import list_upload
from raytrain.errors import SpecError
from raytrain.spec.peek.named_files import (
    check_inside,
    find_files,
    is_hidden,
    is_wild,
    leaves_folder,
    match_glob,
    shown_path,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "b.csv",
        "a.csv",
        "sub/c.csv",
        "sub/.hidden/d.csv",
        "sub/_temporary/e.csv",
        "sub/f.txt",
        "sub/k=1/g.csv",
    ):
        file = tmp_path / "job" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "outside.csv").touch()
    return tmp_path / "job"


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("a.csv", ["a.csv"]),
        (["b.csv", "a.csv"], ["b.csv", "a.csv"]),
        ("*.csv", ["a.csv", "b.csv"]),
        ("[b]*.csv", ["b.csv"]),
        ("sub", ["sub/c.csv", "sub/k=1/g.csv"]),
        ("sub/k=*/*.csv", ["sub/k=1/g.csv"]),
        ("sub/../a.csv", ["sub/../a.csv"]),
    ],
)
def test_paths_folders_globs_and_lists(folder: Path, names: str | list[str], found: list[str]) -> None:
    assert find_files(names, folder, kind="csv") == [folder / name for name in found]


def test_absolute_paths_and_globs_on_this_machine(folder: Path) -> None:
    outside = folder.parent / "outside.csv"
    assert find_files(str(outside), folder, kind="csv") == [outside]
    assert find_files(str(folder.parent / "out*.csv"), folder, kind="csv") == [outside]


@pytest.mark.parametrize(
    "names", ["s3://b/x.csv", "gs://b/*", "hdfs://h/x", "/no/such/x.csv", "/no/such/*.csv", ["a.csv", "s3://b/x"]]
)
def test_what_only_the_cluster_can_know(folder: Path, names: str | list[str]) -> None:
    assert find_files(names, folder, kind="csv") is None


@pytest.mark.parametrize(
    ("names", "got"),
    [
        ("c.csv", "c.csv, which does not exist"),
        (["a.csv", "zz.csv"], "zz.csv, which does not exist"),
        ("*.parquet", "matches no file"),
        ("no/*.csv", "no, which does not exist"),
        ("../outside.csv", "outside the job's folder"),
        ("../*.csv", "outside the job's folder"),
        ("sub/k=1/../../../outside.csv", "outside the job's folder"),
        ("sub/.hidden/../../sub/nothing", "does not exist"),
        ([], "no path"),
        (["b.csv", "*.csv"], "b.csv twice"),
        (["a.csv", "sub/../a.csv"], "sub/../a.csv twice"),
    ],
)
def test_refused(folder: Path, names: str | list[str], got: str) -> None:
    with pytest.raises(SpecError, match=got):
        find_files(names, folder, kind="csv")


def test_a_folder_without_such_files_and_a_near_name(folder: Path) -> None:
    with pytest.raises(SpecError, match=r"a folder without parquet files"):
        find_files("sub", folder, kind="parquet")
    (folder / "students.csv").touch()
    with pytest.raises(SpecError, match=r"did you mean `students\.csv`"):
        find_files("student.csv", folder, kind="csv")


@pytest.mark.parametrize(
    ("name", "leaves"), [("a", False), ("a/../b", False), ("..", True), ("a/../../b", True), ("./a", False)]
)
def test_leaves_folder(name: str, leaves: bool) -> None:
    assert leaves_folder(name) is leaves


def test_a_glob_leaves_out_what_a_folder_does(folder: Path) -> None:
    for name in ("._a.csv", ".ipynb_checkpoints/a-checkpoint.csv", "_temporary/a.csv"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    assert find_files("*.csv", folder, kind="csv") == [folder / "a.csv", folder / "b.csv"]
    assert find_files("sub/**/*.csv", folder, kind="csv") == [folder / "sub/c.csv", folder / "sub/k=1/g.csv"]
    assert find_files(str(folder / "*" / "*.csv"), folder, kind="csv") == [folder / "sub/c.csv"]
    assert find_files("sub/.hidden/*.csv", folder, kind="csv") == [folder / "sub/.hidden/d.csv"]


def test_a_folder_whose_own_name_looks_like_a_glob(tmp_path: Path) -> None:
    folder = tmp_path / ".jobs" / "exp[1]"
    folder.mkdir(parents=True)
    (folder / "a.csv").touch()
    assert find_files("*.csv", folder, kind="csv") == [folder / "a.csv"]


@pytest.fixture
def linked(folder: Path) -> Path:
    """The folder with links to folders within it and beside it, and to those on the way to them."""
    (folder / "sub/aside").symlink_to("../more")
    (folder / "more/deep").mkdir(parents=True)
    (folder / "more/deep/h.csv").touch()
    (folder / "more/deep/up").symlink_to("../..")
    (folder / "more/around").symlink_to("../sub")
    (folder / "more/itself").symlink_to("itself")
    (folder / "more/gone").symlink_to("nothing")
    return folder


@pytest.mark.parametrize(
    "name", ["sub", "sub/**/*.csv", "**/*.csv", "*", "s*/**/*.csv", "sub/aside", "more/around/*/*"]
)
def test_links_are_followed_as_in_the_upload(linked: Path, name: str) -> None:
    uploaded = [file.path for file in list_upload(linked).files if file.path.endswith(".csv")]
    if "*" in name:
        wanted = {path for path in uploaded if match_glob(path.split("/"), name.split("/"))}
    else:
        wanted = {path for path in uploaded if path.startswith(f"{name}/")}
    wanted = {path for path in wanted if not is_hidden(path.split("/"))}

    for either in (name, str(linked / name)):
        found = find_files(either, linked, kind="csv")
        assert found is not None
        assert {shown_path(file, linked) for file in found} == wanted
        assert len(found) == len(wanted) == len(set(found))


def test_a_link_to_a_folder_elsewhere_counts_in_an_absolute_one(folder: Path, tmp_path: Path) -> None:
    store, pictures = tmp_path / "store", tmp_path / "pictures"
    for file in (store / "b.csv", pictures / "cat/a.csv"):
        file.parent.mkdir(parents=True)
        file.touch()
    (pictures / "dog").symlink_to(store)
    assert find_files(str(pictures), folder, kind="csv") == [pictures / "cat/a.csv", pictures / "dog/b.csv"]
    assert find_files(f"{pictures}/**/*.csv", folder, kind="csv") == [pictures / "cat/a.csv", pictures / "dog/b.csv"]


NAMES = st.text("ab.-[]!^*", min_size=1, max_size=4).filter(lambda name: name not in (".", ".."))
GLOBS = st.text("ab.-[]!^*?", min_size=1, max_size=5) | st.just("**")


@given(st.sets(st.tuples(NAMES) | st.tuples(NAMES, NAMES), max_size=6), st.lists(GLOBS, min_size=1, max_size=3))
def test_a_glob_stands_for_what_pythons_does(files: set[tuple[str, ...]], pattern: list[str]) -> None:
    assume(is_wild(pattern[0]) and not {".", ".."} & set(pattern))
    with tempfile.TemporaryDirectory() as name:
        for parts in files:
            file = Path(name, *parts)
            if not file.parent.is_file() and not file.exists():
                file.parent.mkdir(exist_ok=True)
                file.touch()
        matched = glob.glob("/".join(pattern), root_dir=name, recursive=True, include_hidden=True)  # noqa: PTH207  Path's follows no links
        present = [file.relative_to(name).parts for file in Path(name).rglob("*") if file.is_file()]
        # Python's glob also gives a file as though it were a folder (`a/` for `**/a/**`), which is no file's name.
        wanted = {Path(path).parts for path in matched if os.path.isfile(f"{name}/{path}")}
        assert {parts for parts in present if match_glob(parts, pattern)} == wanted


@pytest.mark.parametrize(
    ("name", "got"),
    [
        ("**.csv", "`**.csv` in **.csv"),
        ("sub/**x/a.csv", "`**x` in **x/a.csv"),
        ("~nobody-of-that-name/a.csv", "the home of a user who is not known here"),
        ("x" * 300, "File name too long"),
        ("/" + "x" * 300 + "/*.csv", "File name too long"),
        ("a\0b.csv", "the character U+0000"),
        ("a\0b*.csv", "the character U+0000"),
    ],
)
def test_names_that_cannot_be_looked_up(folder: Path, name: str, got: str) -> None:
    with pytest.raises(SpecError) as caught:
        find_files(name, folder, kind="csv")
    assert got in caught.value.problems[0].got
    inside = check_inside(name, folder)
    assert inside is not None
    assert "*" in name or got in inside.got


def test_a_folder_that_may_not_be_read_is_not_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def refuse(path: Path) -> Any:
        if str(path).endswith("k=1"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    for name in ("sub", "sub/*/*.csv"):
        with pytest.raises(
            SpecError, match=rf"got {re.escape(name)}, which cannot be looked up \(Permission denied at .*k=1"
        ):
            find_files(name, folder, kind="csv")
