"""Tests of where raytrain remembers things."""

from __future__ import annotations

from pathlib import Path

import pytest

from raytrain.errors import UsageError
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
