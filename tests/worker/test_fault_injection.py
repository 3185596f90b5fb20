from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from raytrain.errors import UserCodeError
from raytrain.worker import process_setup
from raytrain.worker.fault_injection import ALLOW, KINDS, VARIABLE, Fault, Injector, act, from_environment, parse


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("kind=kill", Fault(kind="kill")),
        ("rank=1,epoch=2,step=7,kind=stop", Fault(kind="stop", rank=1, epoch=2, step=7)),
        (" kind=enospc , seconds=2.5 ", Fault(kind="enospc", seconds=2.5)),
        ("kind=exit,group=1", Fault(kind="exit", group=1)),
    ],
)
def test_parse(text: str, fault: Fault) -> None:
    assert parse(text) == fault


@pytest.mark.parametrize("text", ["", "kill", "rank=1", "kind=fire", "kind=kill,rank=x", "kind=kill,worker=1"])
def test_what_is_no_fault_is_refused_with_the_kinds_there_are(text: str) -> None:
    with pytest.raises(UserCodeError, match=KINDS[-1]):
        parse(text)


def test_a_fault_needs_leave() -> None:
    assert from_environment({}) is None
    assert from_environment({VARIABLE: ""}) is None
    assert from_environment({VARIABLE: "kind=kill", ALLOW: "1"}) == Fault(kind="kill")
    for environment in ({VARIABLE: "kind=kill"}, {VARIABLE: "kind=kill", ALLOW: "0"}):
        with pytest.raises(UserCodeError, match=ALLOW):
            from_environment(environment)


def test_a_fault_fires_once_a_run_when_its_step_is_reached(tmp_path: Path) -> None:
    fault = Fault(kind="kill", rank=1, epoch=1, step=3)
    reached = [(0, 9), (1, 2), (1, 4), (1, 6)]
    injector = Injector(fault, root=tmp_path, rank=1)
    assert [injector.kind_at(*moment) for moment in reached] == ["", "", "kill", ""]
    assert not Injector(fault, root=tmp_path, rank=1).kind_at(1, 4)  # after the restart


def test_a_fault_leaves_other_ranks_and_groups_alone(tmp_path: Path) -> None:
    fault = Fault(kind="kill", rank=1, group=1)
    assert not Injector(fault, root=tmp_path, rank=0, group=1).kind_at(5, 0)
    assert not Injector(fault, root=tmp_path, rank=1, group=0).kind_at(5, 0)
    assert not Injector(None, root=tmp_path, rank=1, group=1).kind_at(5, 0)
    assert Injector(fault, root=tmp_path, rank=1, group=1).kind_at(5, 0) == "kill"


def test_storage_is_full_for_as_long_as_asked(tmp_path: Path) -> None:
    injector = Injector(Fault(kind="enospc", epoch=1, seconds=0.2), root=tmp_path, rank=0)
    injector.on_write(0, 5, "created")
    for _ in range(2):
        with pytest.raises(OSError, match="space") as refused:
            injector.on_write(1, 0, "created")
        assert refused.value.errno == errno.ENOSPC

    time.sleep(0.25)
    injector.on_write(1, 0, "created")


@pytest.mark.parametrize(("kind", "status"), [("kill", -signal.SIGKILL), ("exit", 1)])
def test_act_ends_the_process(kind: str, status: int) -> None:
    program = f"from raytrain.worker.fault_injection import act; act('{kind}')"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == status


def test_act_stops_the_process() -> None:
    process = subprocess.Popen([sys.executable, "-c", "from raytrain.worker.fault_injection import act; act('stop')"])
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    process.kill()
    process.wait()


def test_act_raises() -> None:
    act("")
    with pytest.raises(RuntimeError, match="injected"):
        act("exception")


def test_a_port_is_taken_once_from_a_worker_that_holds_it(tmp_path: Path) -> None:
    address = process_setup.hold_port("127.0.0.1")
    fault = Fault(kind="bind", rank=1)
    Injector(fault, root=tmp_path, rank=0).take_port(address)
    injector = Injector(fault, root=tmp_path, rank=1)
    injector.take_port(address)
    with pytest.raises(OSError, match="in use"), socket.create_server(("127.0.0.1", int(address.split(":")[1]))):
        pass
    assert injector.taken is not None
    injector.taken.close()
    Injector(fault, root=tmp_path, rank=1).take_port(address)  # after the restart: nothing happens


def test_storage_that_lies_leaves_a_checkpoint_cut(tmp_path: Path) -> None:
    from raytrain.worker.checkpoints.checkpoint import Snapshot, read_newest, write

    injector = Injector(Fault(kind="truncate", epoch=1), root=tmp_path, rank=0)
    for epoch in range(3):
        snapshot = Snapshot(epoch=epoch, variables=[np.arange(9.0)], best_weights=None, state={})

        def at(point: str, epoch: int = epoch) -> None:
            injector.on_write(epoch, 0, point)

        write(tmp_path / "checkpoints", snapshot, keep=9, at=at)
    skipped: list[str] = []
    found = read_newest(tmp_path / "checkpoints", skipped=lambda path, why: skipped.append(path.name))
    assert found is not None
    assert found[1].epoch == 2
    assert skipped == []
    (tmp_path / "checkpoints/epoch-000002/MANIFEST.json").unlink()
    found = read_newest(tmp_path / "checkpoints", skipped=lambda path, why: skipped.append(path.name))
    assert found is not None
    assert found[1].epoch == 0
    assert skipped == ["epoch-000002", "epoch-000001"]
