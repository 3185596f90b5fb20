"""Growing logs: every line once, when it is complete; the last one also without its newline."""

from __future__ import annotations

from pathlib import Path

from raytrain.client.log_tail import FetchedTail, FileTail
from raytrain.errors import ClusterUnreachable, Problem


def test_a_file_that_grows(tmp_path: Path) -> None:
    path = tmp_path / "driver.log"
    tail = FileTail(path)
    assert list(tail.new()) == []

    path.write_text("one\ntw")
    assert list(tail.new()) == ["one"]
    with path.open("a") as file:
        file.write("o\n\nthree")
    assert list(tail.new()) == ["two", ""]
    assert list(tail.new(last=True)) == ["three"]
    assert list(tail.new(last=True)) == []


def test_a_file_with_broken_text(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\xff\xfe broken\n")

    assert list(FileTail(tmp_path / "log").new()) == ["\ufffd\ufffd broken"]


def test_a_text_that_is_fetched_as_a_whole() -> None:
    texts = iter(["one\ntw", "one\ntwo\nthree", "one\ntwo\nthree"])
    tail = FetchedTail(lambda: next(texts), every_s=0)

    assert list(tail.new()) == ["one"]
    assert list(tail.new()) == ["two"]
    assert list(tail.new(last=True)) == ["three"]


def test_a_cluster_that_is_away_gives_no_lines() -> None:
    def away() -> str:
        raise ClusterUnreachable(Problem(got="nothing", expected="a cluster"))

    assert list(FetchedTail(away).new(last=True)) == []


def test_fetches_no_more_than_every_few_seconds() -> None:
    asked = []
    tail = FetchedTail(lambda: asked.append(1) or "", every_s=100)  # type: ignore[func-returns-value]
    for _ in range(5):
        list(tail.new())

    assert len(asked) == 1
