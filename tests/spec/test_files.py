from pathlib import Path

import pytest

from raytrain.errors import SpecError
from raytrain.spec.files import find_files, leaves_folder


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
        (["b.csv", "*.csv"], ["b.csv", "a.csv", "b.csv"]),
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
