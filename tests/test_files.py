"""Tests of where raytrain remembers things."""

from __future__ import annotations

from pathlib import Path

import pytest

from raytrain.cluster.local.lock import locked
from raytrain.errors import ClusterError, UsageError
from raytrain.files import state_dir


def test_own_variable_comes_first() -> None:
    environ = {"RAYTRAIN_STATE_DIR": "/a", "XDG_STATE_HOME": "/b"}

    assert state_dir(environ) == Path("/a")
    assert state_dir({"XDG_STATE_HOME": "/b"}) == Path("/b/raytrain")
    assert state_dir({}) == Path.home() / ".local/state/raytrain"


def test_home_is_expanded() -> None:
    assert state_dir({"RAYTRAIN_STATE_DIR": "~/x"}) == Path.home() / "x"


@pytest.mark.parametrize("variable", ["RAYTRAIN_STATE_DIR", "XDG_STATE_HOME"])
def test_a_home_that_nobody_has(variable: str) -> None:
    with pytest.raises(UsageError, match=rf"{variable}=~nobody-of-that-name/x, the home of a user who is not known"):
        state_dir({variable: "~nobody-of-that-name/x"})


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    lock = tmp_path / "file" / "local.lock"
    expected = rf"got {lock}, which cannot be written \(File exists\).* set RAYTRAIN_STATE_DIR"
    with pytest.raises(ClusterError, match=expected), locked(lock, timeout_s=1):
        pass
