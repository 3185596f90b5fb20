from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from raytrain import protocol
from raytrain.worker.train_loop import _printed, _reported


class Sent(list[protocol.Message]):
    """Stands for the channel."""

    flushed = 0

    def send(self, message: protocol.Message) -> None:
        self.append(message)

    def flush(self) -> None:
        self.flushed += 1


class OfNoKindThatIsCaught(BaseException):
    pass


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(0), KeyboardInterrupt(), OfNoKindThatIsCaught()])
def test_whatever_ends_a_rank_is_reported_first(error: BaseException, tmp_path: Path) -> None:
    sent = Sent()
    kind = type(error).__name__
    with pytest.raises(RuntimeError, match=f"rank 2: {kind}: "), _reported(cast(Any, sent), tmp_path, 2):
        raise error
    [failed] = sent
    assert isinstance(failed, protocol.Failed)
    assert (failed.rank, failed.failure.kind, sent.flushed) == (2, kind, 1)


def test_an_error_is_the_users_own_also_where_it_cannot_be_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    with (
        pytest.raises(RuntimeError, match="rank 0: KeyError: 'mine'"),
        _reported(cast(Any, Sent()), tmp_path, 0),
        _printed(),
    ):
        raise KeyError("mine")
