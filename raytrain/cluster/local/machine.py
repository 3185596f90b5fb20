"""What this machine offers a local cluster: CPUs, free ports, a folder for Ray's files, heads that run already."""

from __future__ import annotations

import os
import re
import socket
import tempfile
from pathlib import Path

from raytrain.cluster.address import LocalHead
from raytrain.errors import ClusterError, Problem

# Two workers of one CPU each, and room for Ray Data's tasks beside them.
LEAST_CPUS = 4
# A Unix socket's path may have 107 bytes, of which Ray's own part below the folder takes about 65.
_LONGEST_TEMP_BASE = 30


def logical_cpus() -> int:
    """How many CPUs a local cluster says it has: this machine's, and 4 at least.

    Ray's CPUs are tickets, not cores: a job with two workers needs two for them and some for Ray Data, on a small
    machine too, where they then share the cores. Workers set TensorFlow's threads by their tickets.
    """
    return max(LEAST_CPUS, physical_cpus())


def physical_cpus(cgroup: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """The cores that this process may use, a container's quota heeded."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    try:
        quota, period = cgroup.read_text().split()
        return max(1, min(cores, int(int(quota) / int(period))))
    except (OSError, ValueError):
        return cores


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether nobody listens on the port, on this machine's own address or on all."""
    for host in ("127.0.0.1", ""):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def temp_dir() -> Path:
    """A new folder for one cluster's files, which no other user can enter."""
    base = Path(tempfile.gettempdir())
    if len(str(base)) > _LONGEST_TEMP_BASE:
        base = Path("/tmp")
    ours = base / f"raytrain-{os.getuid()}"
    ours.mkdir(mode=0o700, exist_ok=True)
    status = ours.lstat()
    if ours.is_symlink() or status.st_uid != os.getuid():
        raise ClusterError(
            Problem(got=f"{ours}, which belongs to another user", expected="a folder of yours", fix="set TMPDIR")
        )
    ours.chmod(0o700)
    return Path(tempfile.mkdtemp(dir=ours))


def running_heads() -> list[LocalHead]:
    """The Ray heads with a dashboard that this user runs here, whoever started them, the usual port first.

    They are read off the dashboards' command lines, the one place that names a dashboard's port.
    """
    import psutil

    heads = []
    for process in psutil.process_iter():
        try:
            if process.uids().real != os.getuid():
                continue
            head = head_of(process.cmdline())
        except psutil.Error:
            continue
        if head is not None:
            heads.append(head)
    return sorted(heads, key=lambda head: not head.url.endswith(":8265"))


def head_of(cmdline: list[str]) -> LocalHead | None:
    """The head that a command line belongs to, when it is a dashboard's."""
    if not any(re.search(r"ray/dashboard/dashboard\.py$", word) for word in cmdline[:4]):
        return None
    options = dict(word.removeprefix("--").split("=", 1) for word in cmdline if word.startswith("--") and "=" in word)
    if "port" not in options:
        return None
    return LocalHead(
        url=f"http://127.0.0.1:{options['port']}",
        gcs_address=options.get("gcs-address", ""),
        of_raytrain=f"/raytrain-{os.getuid()}/" in options.get("temp-dir", ""),
    )
