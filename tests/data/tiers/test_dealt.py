"""A worker's end of the dealing: what it tells while rows come in, and while none do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from raytrain.data.packed import to_block
from raytrain.data.tiers.dealt import AllRows, BlockRows, Dealt, Pass, Stream

ROWS: Any = (np.arange(6, dtype=np.float32)[:, None], np.arange(6))


class Dealer:
    """Hands out these hands, one a call; its calls are answered at once."""

    def __init__(self, *hands: Dealt) -> None:
        self._hands = iter(hands)
        self.next = SimpleNamespace(remote=lambda deal, rank: next(self._hands, None))


def piece() -> BlockRows:
    return BlockRows(split="train", block=to_block(ROWS, ROWS), rows=np.arange(6))


@pytest.fixture(autouse=True)
def answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raytrain.data.tiers.dealt.ray.get", lambda answer: answer)


def test_a_stream_tells_of_each_piece_that_comes_in() -> None:
    told: list[str] = []
    dealer = Dealer(Dealt(pieces=(piece(), piece())), Dealt(ended=True))
    stream = Stream(dealer, Pass(source="train", splits=("train",)), 0, ROWS, lambda: told.append("rows"))
    assert told == []
    stream.take(4)
    stream.take(4)  # of the piece that is there
    assert told == ["rows"]
    stream.take(6)
    assert told == ["rows", "rows"]
    with pytest.raises(RuntimeError, match="fewer rows"):
        stream.take(1)
    assert told == ["rows", "rows"]


def test_going_through_all_rows_tells_of_each_piece_too() -> None:
    told: list[str] = []
    dealer = Dealer(Dealt(pieces=(piece(), piece())), Dealt(ended=True))
    rows = AllRows(dealer, "train", "train", 0, ROWS, lambda: told.append("rows"))
    assert [len(part[1]) for part in rows()] == [6, 6]
    assert told == ["rows", "rows"]
