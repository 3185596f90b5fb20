"""Tests of which files of a job's folder travel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raytrain.client.upload import upload_plan
from raytrain.client.upload.upload_plan import check_size, list_upload
from raytrain.errors import SpecError, UploadTooLarge
from raytrain.spec.peek.named_files import kind_of_entry
from tests.conftest import MakeFolder


def paths(folder: Path, *exclude: str) -> list[str]:
    return [file.path for file in list_upload(folder, exclude).files]


def test_everything_but_what_is_left_out(make_folder: MakeFolder) -> None:
    folder = make_folder(
        {"job.yaml": "a", "src/model.py": "bb", "data/big.csv": "c", ".git/config": "", "src/__pycache__/m.pyc": ""}
    )

    assert paths(folder) == ["data/big.csv", "job.yaml", "src/model.py"]
    assert paths(folder, "data/") == ["job.yaml", "src/model.py"]
    assert list_upload(folder).bytes == 4
    assert [file.path for file in list_upload(folder).largest][:1] == ["src/model.py"]


def test_a_link_within_the_folder_travels_as_what_it_points_to(make_folder: MakeFolder) -> None:
    folder = make_folder({"model.py": "x", "lib/a.py": "y"})
    (folder / "alias.py").symlink_to("model.py")
    (folder / "other").symlink_to("lib")

    assert paths(folder) == ["alias.py", "lib/a.py", "model.py", "other/a.py"]


def test_a_link_out_of_the_folder_is_refused(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder({"model.py": "x"})
    secret = tmp_path / "secret.txt"
    secret.write_text("s")
    (folder / "a.txt").symlink_to(secret)
    (folder / "b").symlink_to(tmp_path)

    with pytest.raises(SpecError) as caught:
        list_upload(folder)

    assert len(caught.value.problems) == 2
    assert f"a.txt, a link to {secret}" in str(caught.value)
    assert paths(folder, "a.txt", "/b") == ["model.py"]


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("random.py", "Python's own module"),
        ("types/__init__.py", "Python's own module"),
        ("keras.py", "the package keras"),
        ("raytrain/__init__.py", "the package raytrain"),
    ],
)
def test_a_module_that_others_would_import_in_place_of_theirs_is_refused(
    name: str, owner: str, make_folder: MakeFolder
) -> None:
    folder = make_folder({"model.py": "x", name: "y"})

    with pytest.raises(SpecError) as caught:
        list_upload(folder)

    [problem] = caught.value.problems
    assert problem.got.startswith(name)
    assert owner in problem.got
    assert problem.fix == "rename it"
    assert paths(folder, name) == ["model.py"]


@pytest.mark.parametrize(
    "name",
    [
        "test.py",
        "this.py",
        "tkinter/__init__.py",
        "src/random.py",
        "src/types/__init__.py",
        "random/a.py",
        "random.csv",
        "__init__.py",
        "keras_model.py",
    ],
)
def test_names_that_nobody_else_imports_are_the_jobs(name: str, make_folder: MakeFolder) -> None:
    assert paths(make_folder({name: "x"})) == [name]


def test_loops_and_links_to_nothing_do_no_harm(make_folder: MakeFolder) -> None:
    folder = make_folder({"model.py": "x", "lib/a.py": "y"})
    (folder / "lib/up").symlink_to(folder)
    (folder / ".#model.py").symlink_to("someone@host.1234")
    os.mkfifo(folder / "pipe")

    assert paths(folder) == ["lib/a.py", "model.py"]


def test_home_and_root_are_refused(monkeypatch: pytest.MonkeyPatch, make_folder: MakeFolder) -> None:
    folder = make_folder({"job.yaml": ""})
    monkeypatch.setenv("HOME", str(folder))

    with pytest.raises(SpecError, match="your home"):
        list_upload(folder)
    with pytest.raises(SpecError, match="root of this machine"):
        list_upload(Path("/"))


def test_too_many_files_are_refused(monkeypatch: pytest.MonkeyPatch, make_folder: MakeFolder) -> None:
    monkeypatch.setattr(upload_plan, "LIMIT_FILES", 3)
    folder = make_folder({f"{number}.txt": "" for number in range(4)})

    with pytest.raises(SpecError, match="more than 3 files"):
        list_upload(folder)
    assert len(paths(folder, "0.txt")) == 3


def test_too_large_names_the_largest_and_the_way_out(monkeypatch: pytest.MonkeyPatch, make_folder: MakeFolder) -> None:
    monkeypatch.setattr(upload_plan, "LIMIT_BYTES", 100)
    plan = list_upload(make_folder({f"{number:02}.txt": "x" * number for number in range(1, 14)}))

    check_size(plan, more_bytes=9)
    with pytest.raises(UploadTooLarge) as caught:
        check_size(plan, more_bytes=10)

    message = str(caught.value)
    assert "13.txt" in message and "04.txt" in message and "03.txt" not in message
    assert "environment.exclude" in message
    assert "a base model of" in message
    assert caught.value.exit_code == 3


def test_the_limit_is_below_rays() -> None:
    assert upload_plan.LIMIT_BYTES < 100 * 2**20


def test_what_cannot_be_read_is_named_or_left_out(make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_folder({"model.py": "x", "locked.csv": "y"})
    (folder / "far").symlink_to("model.py")
    (folder / "itself").symlink_to("itself")
    (folder / "\udcff.csv").symlink_to("model.py")
    access = os.access

    def refuse(entry: os.DirEntry[str]) -> str:
        if entry.name == "far":
            raise PermissionError(13, "Permission denied", entry.path)
        return kind_of_entry(entry)

    monkeypatch.setattr("raytrain.client.upload.upload_plan.kind_of_entry", refuse)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "locked.csv" and access(path, mode))

    with pytest.raises(SpecError) as caught:
        list_upload(folder)
    assert [problem.got for problem in caught.value.problems] == [
        "'far', which cannot be packed (Permission denied)",
        "'locked.csv', which cannot be packed (you may not read it)",
        "'\\udcff.csv', which cannot be packed (its name is not UTF-8)",
    ]
    assert paths(folder, "far", "*.csv") == ["model.py"]
