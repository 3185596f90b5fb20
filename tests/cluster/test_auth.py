"""Tests of the token: where it is found, and when it may travel."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from raytrain.cluster.auth import check_may_send, find_token, make_token, token_file
from raytrain.errors import ClusterError


def test_no_token_unless_the_mode_asks_for_one() -> None:
    assert find_token({"RAY_AUTH_TOKEN": "t"}) is None
    assert find_token({"RAY_AUTH_TOKEN": "t"}, asked=True) == "t"


def test_the_order_of_the_sources(tmp_path: Path) -> None:
    named, kept = tmp_path / "named", tmp_path / ".ray/auth_token"
    kept.parent.mkdir()
    named.write_text("from-path\n")
    kept.write_text("from-home\n")
    mode = {"RAY_AUTH_MODE": "token"}

    assert find_token(mode | {"RAY_AUTH_TOKEN": " t ", "RAY_AUTH_TOKEN_PATH": str(named)}, home=tmp_path) == "t"
    assert find_token(mode | {"RAY_AUTH_TOKEN_PATH": str(named)}, home=tmp_path) == "from-path"
    assert find_token(mode, home=tmp_path) == "from-home"
    assert find_token(mode, home=tmp_path / "nobody") is None


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    environ = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "none")}

    with pytest.raises(ClusterError, match="cannot be read"):
        find_token(environ, home=tmp_path)


@pytest.mark.parametrize(
    "url", ["https://head:8265", "http://127.0.0.1:8265", "http://localhost:8265", "http://[::1]:1"]
)
def test_may_travel(url: str) -> None:
    check_may_send(url)


def test_may_not_travel_in_the_clear() -> None:
    with pytest.raises(ClusterError, match="plain http") as caught:
        check_may_send("http://head:8265")

    assert "ssh -L 8265:localhost:8265 head" in str(caught.value)


def test_the_file_of_the_token_is_the_one_that_is_read(tmp_path: Path) -> None:
    mode = {"RAY_AUTH_MODE": "token"}
    assert token_file(mode, home=tmp_path) is None
    own, named = tmp_path / ".ray" / "auth_token", tmp_path / "named"
    own.parent.mkdir()
    for file in (own, named):
        file.write_text("secret")
    assert token_file({}, home=tmp_path) is None
    assert token_file(mode, home=tmp_path) == own
    assert token_file(mode | {"RAY_AUTH_TOKEN_PATH": str(named)}, home=tmp_path) == named
    assert token_file(mode | {"RAY_AUTH_TOKEN": "other"}, home=tmp_path) is None


def test_a_token_is_made_once_where_ray_looks_for_it(tmp_path: Path) -> None:
    for _ in range(2):
        make_token({}, home=tmp_path)
    kept = tmp_path / ".ray" / "auth_token"
    token = find_token({}, asked=True, home=tmp_path)
    assert token is not None
    assert (len(token), stat.S_IMODE(kept.stat().st_mode)) == (64, 0o600)
    make_token({}, home=tmp_path)
    assert find_token({}, asked=True, home=tmp_path) == token
    make_token({"RAY_AUTH_TOKEN": "mine"}, home=tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


def test_a_token_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / ".ray").write_text("")
    with pytest.raises(ClusterError, match=r"cannot be written.*RAY_AUTH_MODE=disabled"):
        make_token({}, home=tmp_path)


def test_a_file_that_holds_none_is_told_and_left(tmp_path: Path) -> None:
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").touch()
    with pytest.raises(ClusterError, match="it is there, and empty"):
        make_token({}, home=tmp_path)
    assert [file.name for file in (tmp_path / ".ray").iterdir()] == ["auth_token"]
