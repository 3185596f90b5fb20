"""The page as text: what it says, what it must never hold, how large it is, how long it takes."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from raytrain.report.job_files import JobFiles
from raytrain.run.run_paths import RunPaths
from raytrain.spec.load import load_job
from raytrain.spec.request import JobRequest
from tests.cli import lives
from tests.docs.pages import ROOT
from tests.report.long_life import HOSTILE, hostile_life, long_life, page_of, troubled_life


class Shape(HTMLParser):
    """Every element and attribute of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


def says(page: str) -> str:
    return " ".join(Shape(page).text.split())


def test_a_run_that_succeeded_answers_what_a_person_asks() -> None:
    page = says(page_of(lives.whole_life()))
    assert "Did it learn? Yes: loss 0.5000 → 0.1667 in 3 epochs. Best val_loss: 0.2667 in epoch 3." in page
    assert "How long did it take? 20.0s since the command, 8.00s to the first step" in page
    assert "Why did it stop? SUCCEEDED: all epochs done." in page
    assert "What would I do next? the last epoch is the best: more epochs may bring more" in page
    for heading in ("Curves", "Where the time went", "Ranks", "Attempts and events", "How the rows are divided"):
        assert heading in page
    assert "Likely:" not in page


def test_a_run_in_trouble_says_which() -> None:
    page = says(page_of(troubled_life()))
    assert "FAILED: the job's own code or data failed. ValueError: no such class: 11 (model.py:7, rank 1)" in page
    assert "Likely: the workers were started again 2 times, 2 times for rank 1" in page
    assert "waiting for 2 GPU: 1 is free" in page
    assert "waiting for room 60.0s" in page
    assert "no worker advanced for 60.0s, rank 1 least, in epoch 5, step 3 (train)" in page
    assert "not that of one process: gradient of dense/kernel differs by 2e-02" in page


@pytest.mark.parametrize("until", [0, 1, 3, 9, 10])
def test_a_run_that_has_hardly_begun_has_a_page(until: int) -> None:
    page = says(page_of(lives.whole_life()[:until]))
    assert "It goes on" in page
    assert "while it goes on" in page


def test_whatever_is_named_is_text() -> None:
    page = page_of(hostile_life(), JobFiles(spec={"name": HOSTILE, HOSTILE: [HOSTILE]}), run=HOSTILE)
    shape = Shape(page)
    assert not shape.tags & {"script", "img", "iframe", "object", "link", "base"}
    assert [name for name, _ in shape.attributes if name.startswith("on")] == []
    assert "javascript:" not in "".join(value for _, value in shape.attributes)
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "{{ 7*7 }}" in shape.text
    assert shape.text.count('<script>document.title="owned"</script>') > 10


def test_it_asks_nothing_of_any_network() -> None:
    listed = Shape(page_of(lives.whole_life())).attributes
    addressed = [value for name, value in listed if name in ("href", "src", "action", "xlink:href", "data", "srcset")]
    assert [value for value in addressed if not value.startswith("#")] == []
    assert "url(" not in page_of(lives.whole_life())


def test_how_to_train_it_again_and_what_was_promised(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / lives.RUN)
    paths.root.mkdir()
    spec = load_job(str(ROOT / "jobs/digits")).spec
    request = JobRequest(
        run=lives.RUN,
        attempt=1,
        submitted_at=lives.SUBMITTED_AT,
        spec=spec,
        storage=str(tmp_path),
        spec_file="job.yaml",
        overrides=["fit.epochs=3", "model_args.hidden=a b"],
        client={"raytrain": "0.2.0"},
        commit="55c694e1d2f3",
    )
    paths.request.write_text(request.model_dump_json())
    paths.spec.write_text(spec.model_dump_json())

    page = says(page_of(lives.whole_life(), JobFiles.of(paths)))

    assert f"unzip /runs/{lives.RUN}/job.zip -d digits-again" in page
    assert "raytrain submit digits-again/job.yaml --set fit.epochs=3 --set 'model_args.hidden=a b'" in page
    assert "Promised: the answer is that of one process" in page
    assert "git commit of the job 55c694e1d2f3" in page
    assert "global_batch_size: 32" in page


def test_a_long_run_is_small_enough_and_written_soon() -> None:
    listed = long_life()
    alone = "import time; began = time.perf_counter(); import typer; print(time.perf_counter() - began)"
    typer_s = min(float(subprocess.check_output([sys.executable, "-c", alone])) for _ in range(3))
    took_s = []
    for _ in range(3):
        began = time.perf_counter()
        page = page_of(listed)
        took_s.append(time.perf_counter() - began)

    assert len(page.encode()) <= 500_000
    assert min(took_s) <= 20 * typer_s
    assert len(re.findall("<figure>", page)) == 7
    assert re.search(r"3\d\d more", says(page)), "of a long timeline its beginning and its end are kept"
