from __future__ import annotations

from pathlib import Path

import pytest

from raytrain.worker.working_directory import working_directory


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "job"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "rows.csv").write_text("a\n1\n")
    (folder / "words.txt").write_text("one")
    return folder


def test_the_first_rank_works_in_the_jobs_folder(folder: Path) -> None:
    with working_directory(folder, rank=0, name="run-0"):
        assert Path.cwd() == folder
        Path("kept.h5").touch()
    assert (folder / "kept.h5").exists()


def test_others_read_what_it_has_and_write_for_themselves(folder: Path) -> None:
    with working_directory(folder, rank=1, name="run-0"), working_directory(folder, rank=2, name="run-0"):
        assert Path("words.txt").read_text() == "one"
        assert Path("data/rows.csv").read_text() == "a\n1\n"
        Path("images").mkdir()
        Path("best.weights.h5").touch()
    assert sorted(entry.name for entry in folder.iterdir()) == ["data", "words.txt"]
    assert (folder / "data" / "rows.csv").exists()


@pytest.mark.processes
def test_what_a_killed_rank_left_is_nothing_to_the_next(folder: Path) -> None:
    (folder / ".raytrain-rank-1-run-0").mkdir()
    (folder / ".raytrain-rank-1-run-0" / "words.txt").symlink_to(folder / "words.txt")
    with working_directory(folder, rank=1, name="run-0"):
        assert sorted(entry.name for entry in Path.cwd().iterdir()) == ["data", "words.txt"]
