"""Several hosts on this machine: network namespaces with addresses of their own, joined by a bridge.

They share this machine's files and processes, but no loopback, no address and no folder given to `on`. Needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

NETWORK = "10.213.46"
HERE = f"{NETWORK}.254"
_BRIDGE = "rthosts"


def why_not() -> str:
    """Why there can be none here; empty where there can."""
    if os.geteuid():
        return "namespaces take root"
    return "" if shutil.which("ip") else "there is no `ip`: Debian's iproute2"


@contextmanager
def hosts(count: int) -> Iterator[list[str]]:
    """Their addresses; `on` runs commands there. This process has `HERE` on the same network."""
    run(f"ip link add {_BRIDGE} type bridge", f"ip address add {HERE}/24 dev {_BRIDGE}", f"ip link set {_BRIDGE} up")
    try:
        for number in range(1, count + 1):
            space, outer, inner = f"{_BRIDGE}{number}", f"{_BRIDGE}o{number}", f"{_BRIDGE}i{number}"
            within = f"ip netns exec {space}"
            run(
                f"ip netns add {space}",
                f"ip link add {outer} type veth peer name {inner} netns {space}",
                f"ip link set {outer} master {_BRIDGE} up",
                f"{within} ip address add {NETWORK}.{number}/24 dev {inner}",
                f"{within} ip link set {inner} up",
                f"{within} ip link set lo up",
            )
        yield [f"{NETWORK}.{number}" for number in range(1, count + 1)]
    finally:
        for number in range(1, count + 1):
            _run_if_it_goes(f"ip link delete {_BRIDGE}o{number}", f"ip netns delete {_BRIDGE}{number}")
        _run_if_it_goes(f"ip link delete {_BRIDGE}")


def on(address: str, *, own: Path) -> Sequence[str]:
    """What a command begins with that is to run on the host of this address; `own`: a folder that is its own there."""
    number = address.rpartition(".")[2]
    private = own.with_name(f"{own.name}-{number}")
    for folder in (own, private):
        folder.mkdir(exist_ok=True)
    mounted = f'mount --bind {private} {own} && exec "$@"'
    return ("ip", "netns", "exec", f"{_BRIDGE}{number}", "sh", "-c", mounted, "sh")


def _run_if_it_goes(*commands: str) -> None:
    for command in commands:
        subprocess.run(command.split(), check=False, capture_output=True)


def run(*commands: str) -> None:
    for command in commands:
        subprocess.run(command.split(), check=True, capture_output=True)
