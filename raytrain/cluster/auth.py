"""Ray's token: where it is found, and when it may be sent.

Ray 2.60 authenticates with one token for a whole cluster, sent as `Authorization: Bearer`. The sources and their order
are Ray's own (`ray/_private/authentication`); like Ray, we look only when `RAY_AUTH_MODE=token`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from raytrain.cluster.address import is_loopback_host
from raytrain.errors import ClusterError, Problem

ADVICE = (
    "set RAY_AUTH_MODE=token and give the cluster's token in RAY_AUTH_TOKEN, in the file that RAY_AUTH_TOKEN_PATH "
    "names, or in ~/.ray/auth_token"
)


def find_token(environ: Mapping[str, str], *, home: Path | None = None) -> str | None:
    """The token to send; None when token authentication is not asked for, or no token is kept.

    Raises:
        ClusterError: `RAY_AUTH_TOKEN_PATH` names a file that cannot be read.
    """
    if environ.get("RAY_AUTH_MODE", "").strip().lower() != "token":
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


def token_file(environ: Mapping[str, str], *, home: Path | None = None) -> Path | None:
    """The file that `find_token` reads; None where the token stands in the environment itself, or there is none."""
    if find_token(environ, home=home) is None or environ.get("RAY_AUTH_TOKEN", "").strip():
        return None
    named = environ.get("RAY_AUTH_TOKEN_PATH", "").strip()
    return (Path(named).expanduser() if named else (home or Path.home()) / ".ray" / "auth_token").absolute()


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
