"""Prepares a worker's process before TensorFlow starts: a port that is held, thread pools, TF_CONFIG.

Runs in: every Train worker, called by the backend. Imports TensorFlow in a thread, never on import of this module.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import threading
from collections.abc import Sequence

from raytrain.defer_sklearn import defer_sklearn
from raytrain.no_proxy import reach_directly

_held: list[socket.socket] = []
_importing: list[threading.Thread] = []

LIBRARIES = ("tensorflow", "keras", "raytrain.worker.fit")


def thread_environment(cpus: float) -> dict[str, str]:
    """Environment that sizes TensorFlow's thread pools to the worker's share of the machine instead of all of it."""
    threads = str(max(1, int(cpus)))
    return {"TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads, "OMP_NUM_THREADS": threads}


def hold_port(host: str) -> str:
    """Reserves a port on `host` for this worker's TensorFlow server and returns `host:port`.

    The socket stays open, bound but not listening, so that nobody else is given the port; TensorFlow can bind beside
    it because both set SO_REUSEPORT (TF_GRPC_REUSE_PORT). `release_port` closes it.
    """
    release_port()
    holder = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    holder.bind((host, 0))
    _held.append(holder)
    port = holder.getsockname()[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def release_port() -> None:
    while _held:
        _held.pop().close()


def configure(addresses: Sequence[str], rank: int) -> None:
    """Tells TensorFlow who the workers are (TF_CONFIG) and that this one is `rank`."""
    os.environ["TF_CONFIG"] = json.dumps(
        {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": rank}}
    )
    os.environ["TF_GRPC_REUSE_PORT"] = "1"
    reach_directly(address.rpartition(":")[0].strip("[]") for address in addresses)
    os.environ.pop("TF_USE_LEGACY_KERAS", None)
    import_ahead()


def own_address() -> str:
    """The `host:port` of this worker's TensorFlow server, as `configure` was told."""
    config = json.loads(os.environ["TF_CONFIG"])
    return str(config["cluster"]["worker"][own_rank()])


def own_rank() -> int:
    """This worker's rank, as `configure` was told. Ray Train would tell it, too, and import Ray Tune to do so."""
    return int(json.loads(os.environ["TF_CONFIG"])["task"]["index"])


def import_ahead() -> None:
    """Begins to import TensorFlow and Keras in a thread, so that it overlaps with what else the worker waits for."""
    if not _importing:
        _importing.append(threading.Thread(target=_import_all, name="raytrain-import", daemon=True))
        _importing[0].start()


def finish_import() -> None:
    """Waits for the thread of `import_ahead`: two threads that import TensorFlow at once see it half initialised."""
    for thread in _importing:
        thread.join()


def _import_all() -> None:
    defer_sklearn()
    for library in LIBRARIES:
        importlib.import_module(library)
