"""How far an epoch is, as a file that is written anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from raytrain.run.step_progress import StepProgress


def test_what_is_written_is_read(tmp_path: Path) -> None:
    written = StepProgress(attempt=1, time=5.0, epoch=2, step=30, steps=120, steps_per_s=10.0)
    written.write(tmp_path / "progress.json")
    assert StepProgress.read(tmp_path / "progress.json") == written
    assert (written.share, written.left_s) == (0.25, 9.0)


def test_before_the_first_step_nothing_is_foretold() -> None:
    begun = StepProgress(attempt=1, time=5.0, epoch=0, step=0, steps=0)
    assert (begun.share, begun.left_s) == (0.0, None)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", "null", '{"attempt": 1, "time": 0, "epoch": 0, "step": "a", "steps": 3}']
)
def test_what_is_of_another_form_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "progress.json").write_text(text)
    assert StepProgress.read(tmp_path / "progress.json") is None
    assert StepProgress.read(tmp_path / "none") is None
