from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest

from raytrain import no_proxy
from raytrain.worker import process_setup

HOST = "127.0.0.1"
IP_LOCAL_PORT_RANGE = 51  # Linux 6.3: the ports among which bind(0) of one socket chooses


@pytest.fixture(autouse=True)
def released() -> Iterator[None]:
    yield
    process_setup.release_port()


@contextlib.contextmanager
def bound(port: int, *, reuse: bool = False, only: int = 0) -> Iterator[socket.socket]:
    """A socket bound to `port`; with `only`, that port is all that the kernel may choose from."""
    with socket.socket() as other:
        if reuse:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if only:
            other.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("I", only << 16 | only))
        other.bind((HOST, port))
        yield other


def held_port() -> int:
    host, port = process_setup.hold_port(HOST).split(":")
    assert host == HOST
    return int(port)


def test_a_held_port_can_be_bound_by_those_alone_who_share_it() -> None:
    port = held_port()
    with pytest.raises(OSError, match="Address already in use"), bound(port):
        pass
    with bound(port, reuse=True) as server:  # as TensorFlow's server does
        server.listen()
        with socket.create_connection((HOST, port), timeout=5) as client:
            client.sendall(b"x")
            accepted, _ = server.accept()
            with accepted:
                assert accepted.recv(1) == b"x"


@pytest.mark.parametrize("reuse", [False, True])
def test_the_kernel_gives_a_held_port_to_nobody_even_when_it_has_no_other(reuse: bool) -> None:
    port = held_port()
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(bound(0, reuse=reuse, only=port))
        except OSError as error:
            if error.errno == errno.ENOPROTOOPT:
                pytest.skip("this kernel cannot be told which ports to choose from")
            assert error.errno == errno.EADDRINUSE
            return
    pytest.fail("the held port was given away")


def test_many_who_ask_for_any_port_never_get_a_held_one() -> None:
    port = held_port()
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(bound(0, reuse=index % 2 == 0)) for index in range(500)]
        assert port not in {other.getsockname()[1] for other in others}


def test_a_released_port_is_free() -> None:
    port = held_port()
    process_setup.release_port()
    with bound(port):
        pass
    process_setup.release_port()


def test_a_process_holds_one_port_at_a_time() -> None:
    first = held_port()
    second = held_port()
    assert first != second or len(process_setup._held) == 1
    with bound(first):
        pass


def test_ipv6_addresses_are_in_brackets() -> None:
    try:
        address = process_setup.hold_port("::1")
    except OSError:
        pytest.skip("no IPv6 here")
    assert address.startswith("[::1]:")
    assert int(address.removeprefix("[::1]:")) > 0


@pytest.mark.parametrize(("cpus", "threads"), [(0.25, "1"), (1, "1"), (1.9, "1"), (2, "2"), (16, "16")])
def test_thread_pools_have_the_size_of_the_workers_share(cpus: float, threads: str) -> None:
    names = {"TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"}
    assert process_setup.thread_environment(cpus) == dict.fromkeys(names, threads)


def test_configure_tells_tensorflow_who_the_workers_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_setup, "LIBRARIES", ())
    monkeypatch.setattr(process_setup, "_importing", [])
    for name in ("TF_CONFIG", "TF_GRPC_REUSE_PORT", "no_grpc_proxy"):
        monkeypatch.setenv(name, "")  # so that what `configure` sets is taken back, for the processes of other tests
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    process_setup.configure(["10.0.0.1:7", "[::1]:8"], 1)
    process_setup.finish_import()
    assert json.loads(os.environ["TF_CONFIG"]) == {
        "cluster": {"worker": ["10.0.0.1:7", "[::1]:8"]},
        "task": {"type": "worker", "index": 1},
    }
    assert os.environ["TF_GRPC_REUSE_PORT"] == "1"
    assert "TF_USE_LEGACY_KERAS" not in os.environ


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({}, "10.0.0.1,::1", id="none"),
        pytest.param({"no_proxy": "a,10.0.0.1"}, "a,10.0.0.1,::1", id="of every protocol"),
        pytest.param({"no_proxy": "a", "no_grpc_proxy": "b"}, "b,10.0.0.1,::1", id="of gRPC alone"),
    ],
)
def test_the_workers_reach_each_other_without_a_proxy(
    before: dict[str, str], after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_setup, "LIBRARIES", ())
    monkeypatch.setattr(process_setup, "_importing", [])
    for name in ("TF_CONFIG", "TF_GRPC_REUSE_PORT", "no_grpc_proxy", "no_proxy"):
        monkeypatch.setenv(name, "")
    for name in ("no_grpc_proxy", "no_proxy"):
        monkeypatch.delenv(name)
    for name, value in before.items():
        monkeypatch.setenv(name, value)
    process_setup.configure(["10.0.0.1:7", "10.0.0.1:9", "[::1]:8"], 1)
    process_setup.finish_import()
    assert os.environ[no_proxy._NO_PROXY] == after


def test_importing_ahead_happens_once_and_is_waited_for() -> None:
    program = """
import sys, threading
from raytrain.worker import process_setup
assert "tensorflow" not in sys.modules
process_setup.LIBRARIES = ("zipapp",)
for _ in range(3): process_setup.import_ahead()
assert len(process_setup._importing) == 1
process_setup.finish_import()
print("zipapp" in sys.modules, "tensorflow" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "False"], done.stderr


def test_a_worker_knows_its_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"cluster": {"worker": ["a:1", "[::1]:2"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert process_setup.own_address() == "[::1]:2"
