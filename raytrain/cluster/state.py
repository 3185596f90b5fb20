"""The directory in which raytrain remembers things between two commands on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def state_dir(environ: Mapping[str, str] | None = None) -> Path:
    """`$RAYTRAIN_STATE_DIR`, else `$XDG_STATE_HOME/raytrain`, else `~/.local/state/raytrain`; it need not exist yet.

    Args:
        environ: the environment to read; this process's own when left out.
    """
    environ = os.environ if environ is None else environ
    if own := environ.get("RAYTRAIN_STATE_DIR"):
        return Path(own).expanduser()
    if shared := environ.get("XDG_STATE_HOME"):
        return Path(shared).expanduser() / "raytrain"
    return Path.home() / ".local" / "state" / "raytrain"
