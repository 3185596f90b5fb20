"""Ray's token: where it is found, and when it may be sent.

Ray 2.60 authenticates with one token for a whole cluster. The sources and their order are Ray's own
(`ray/_private/authentication`). It is sent to a cluster that asks for one, and with `RAY_AUTH_MODE=token` at once.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from raytrain.cluster.address import is_loopback_host
from raytrain.errors import ClusterError, Problem

ADVICE = (
    "give the cluster's token in RAY_AUTH_TOKEN, in the file that RAY_AUTH_TOKEN_PATH names, or in ~/.ray/auth_token; "
    "ray get-auth-token prints it on the cluster's head"
)


@dataclass(frozen=True)
class Tokens:
    """The token of the clusters that a process of this environment talks to.

    Attributes:
        environ: where it is looked for, when it is needed.
    """

    environ: Mapping[str, str]

    def at_once(self, url: str) -> str | None:
        """The token to send whether `url` asks for one or not, as `find_token` has it.

        Raises:
            ClusterError: it would travel in the clear, or cannot be read.
        """
        return self._for(url, find_token(self.environ))

    def when_asked(self, url: str) -> str | None:
        """Likewise of a cluster that does ask."""
        return self._for(url, find_token(self.environ, asked=True))

    def _for(self, url: str, token: str | None) -> str | None:
        if token:
            check_may_send(url)
        return token


def find_token(environ: Mapping[str, str], *, asked: bool = False, home: Path | None = None) -> str | None:
    """The token to send; None when token authentication is not asked for, or no token is kept.

    Args:
        asked: the cluster asks for one, whatever `RAY_AUTH_MODE` says.

    Raises:
        ClusterError: `RAY_AUTH_TOKEN_PATH` names a file that cannot be read.
    """
    if not asked and environ.get("RAY_AUTH_MODE", "").strip().lower() != "token":
        return None
    if token := environ.get("RAY_AUTH_TOKEN", "").strip():
        return token
    named = environ.get("RAY_AUTH_TOKEN_PATH", "").strip()
    path = Path(named).expanduser() if named else (home or Path.home()) / ".ray" / "auth_token"
    try:
        return path.read_text().strip() or None
    except OSError as error:
        if not named:
            return None
        raise ClusterError(
            Problem(
                got=f"RAY_AUTH_TOKEN_PATH={named}, which cannot be read ({error.strerror})",
                expected="a file that holds the cluster's token",
                fix="ray get-auth-token prints the token on the cluster's head",
            )
        ) from None


def token_file(environ: Mapping[str, str], *, asked: bool = False, home: Path | None = None) -> Path | None:
    """The file that `find_token` reads; None where the token stands in the environment itself, or there is none."""
    if find_token(environ, asked=asked, home=home) is None or environ.get("RAY_AUTH_TOKEN", "").strip():
        return None
    named = environ.get("RAY_AUTH_TOKEN_PATH", "").strip()
    return (Path(named).expanduser() if named else (home or Path.home()) / ".ray" / "auth_token").absolute()


def token_place(environ: Mapping[str, str]) -> str:
    """In words, where the token is that is sent to a cluster that asks for one."""
    file = token_file(environ, asked=True)
    if file is None:
        return "RAY_AUTH_TOKEN"
    return f"~/{file.relative_to(Path.home())}" if file.is_relative_to(Path.home()) else str(file)


def make_token(environ: Mapping[str, str], *, home: Path | None = None) -> None:
    """Keeps a new token where Ray's own programs look for one, unless there is one: a cluster needs it to start.

    Raises:
        ClusterError: `RAY_AUTH_TOKEN_PATH` names a file that cannot be read, or the token cannot be kept.
    """
    if find_token(environ, asked=True, home=home) is not None:
        return
    path = (home or Path.home()) / ".ray" / "auth_token"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as aside:  # which this user alone may read
            aside.write(secrets.token_hex(32))
            aside.flush()
            with contextlib.suppress(FileExistsError):  # another process was faster: there is one token
                os.link(aside.name, path)
        if find_token(environ, asked=True, home=home) is None:
            raise OSError(errno.EEXIST, "it is there, and empty")
    except OSError as error:
        raise ClusterError(
            Problem(
                got=f"{path}, which cannot be written ({error.strerror})",
                expected="a place for the token that guards the local cluster",
                fix="give one in RAY_AUTH_TOKEN, or set RAY_AUTH_MODE=disabled where nobody else uses this machine",
            )
        ) from None


def check_may_send(url: str) -> None:
    """Refuses to send a token where others could read it on the way.

    Raises:
        ClusterError: `url` is plain http to another machine.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" or is_loopback_host(parts.hostname or ""):
        return
    raise ClusterError(
        Problem(
            got=f"a token to send over plain http to {parts.hostname}",
            expected="https, or an address of this machine",
            fix=f"open a tunnel, ssh -L 8265:localhost:{parts.port or 80} {parts.hostname}, and use "
            "--address http://127.0.0.1:8265; or put TLS before the dashboard",
        )
    )
