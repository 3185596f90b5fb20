"""Looks at one node of a cluster from a process there: versions, devices, clock, disk, storage, ways to the others.

Runs in: an actor on each node, started by `raytrain.driver.cluster_probe`. Takes no CPU of the cluster's.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from time import time

from raytrain.run.object_store import ObjectStore, is_object_store
from raytrain.worker.process_setup import hold_port, release_port
from raytrain.worker.sum_trial_process import trial_command, try_sum

PACKAGES = ("ray", "tensorflow", "keras", "pyarrow")
_CONNECT_S = 5.0


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """What a node is.

    Attributes:
        versions: of Python and of packages; "none" for one that is missing.
        seen_gpus: that TensorFlow sees; None where the node has none to see.
        clock: seconds since the epoch there.
        disk_free, memory_free: bytes of the temporary folder, and of shared memory.
    """

    host: str
    versions: dict[str, str]
    seen_gpus: int | None
    clock: float
    disk_free: int
    memory_free: int


class NodeProbe:
    """One node's; each method is one question."""

    def __init__(self, name: str, address: str) -> None:
        """`address`: by which the other nodes know this one; `name`: what people call it."""
        self._name, self._address = name, address
        self._listener: socket.socket | None = None

    def facts(self) -> NodeFacts:
        """The versions, devices and room of the node."""
        return NodeFacts(
            host=self._name,
            versions={"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
            seen_gpus=_seen_gpus(),
            clock=time(),
            disk_free=shutil.disk_usage(tempfile.gettempdir()).free,
            memory_free=shutil.disk_usage("/dev/shm").free,
        )

    def write(self, storage: str, name: str) -> str:
        """Writes a small file into the storage; why that failed, or nothing."""
        try:
            if is_object_store(storage):
                ObjectStore(storage).write(name, self._name.encode())
            else:
                folder = Path(storage).expanduser()
                folder.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(self._name)
        except Exception as error:  # noqa: BLE001  of whatever file system it is
            return f"{type(error).__name__}: {error}"
        return ""

    def missing(self, storage: str, names: list[str]) -> list[str]:
        """Those of the files that this node does not see."""
        if is_object_store(storage):
            return [name for name in names if ObjectStore(storage).read(name) is None]
        return [name for name in names if not (Path(storage).expanduser() / name).is_file()]

    def listen(self) -> tuple[str, int]:
        """Opens a port for the other nodes to reach."""
        self._listener = socket.create_server((self._address, 0), backlog=128)
        threading.Thread(target=_accept_all, args=(self._listener,), daemon=True).start()
        return self._address, self._listener.getsockname()[1]

    def unreachable(self, addresses: list[tuple[str, int]]) -> list[str]:
        """Those of the addresses to which no connection comes about."""
        found = []
        for address in addresses:
            try:
                socket.create_connection(address, timeout=_CONNECT_S).close()
            except OSError as error:
                found.append(f"{address[0]}:{address[1]} ({error.strerror or error})")
        return found

    def hold(self) -> str:
        """An address for a trial sum."""
        return hold_port(self._address)

    def try_sum(self, addresses: list[str], rank: int, *, within_s: float) -> str:
        """This node's part of a sum of all; why it failed, or nothing."""
        release_port()
        return try_sum(addresses, rank, trial_command("auto"), within_s=within_s)


def _accept_all(listener: socket.socket) -> None:
    while True:
        listener.accept()[0].close()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


def _seen_gpus() -> int | None:
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        return None
    program = "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"
    # Ray hides the GPUs from a process that asked for none.
    seeing = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    done = subprocess.run([sys.executable, "-c", program], env=seeing, capture_output=True, text=True, check=False)
    return int(done.stdout.split()[-1]) if done.returncode == 0 else 0
