"""Files written whole, and the directory in which raytrain remembers things between two commands on this machine."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path

from raytrain.errors import Problem, UsageError


def write_whole(path: Path, text: str) -> None:
    """Writes a file aside and renames it, so that a reader sees the old text or the new, never a part."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def state_dir(environ: Mapping[str, str] | None = None) -> Path:
    """`$RAYTRAIN_STATE_DIR`, else `$XDG_STATE_HOME/raytrain`, else `~/.local/state/raytrain`; it need not exist yet.

    Args:
        environ: the environment to read; this process's own when left out.

    Raises:
        UsageError: a variable names the home of a user who is not known here.
    """
    environ = os.environ if environ is None else environ
    if environ.get("RAYTRAIN_STATE_DIR"):
        return _folder("RAYTRAIN_STATE_DIR", environ)
    if environ.get("XDG_STATE_HOME"):
        return _folder("XDG_STATE_HOME", environ) / "raytrain"
    return Path.home() / ".local" / "state" / "raytrain"


def _folder(variable: str, environ: Mapping[str, str]) -> Path:
    try:
        return Path(environ[variable]).expanduser()
    except RuntimeError:
        got = f"{variable}={environ[variable]}, the home of a user who is not known here"
        raise UsageError(Problem(got=got, expected="a folder, or ~/ for your own home")) from None
