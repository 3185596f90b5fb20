"""Tests of what this machine offers a local cluster."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from pathlib import Path

import pytest

from raytrain.cluster.local import machine
from raytrain.cluster.local.machine import (
    free_port,
    head_of,
    is_free,
    logical_cpus,
    physical_cpus,
    temp_dir,
)
from raytrain.errors import ClusterError


def test_a_small_machine_still_has_room_for_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, expected in ((1, 4), (2, 4), (4, 4), (16, 16)):
        monkeypatch.setattr(machine, "physical_cpus", lambda cores=cores: cores)

        assert logical_cpus() == expected


@pytest.mark.parametrize(("text", "expected"), [("max 100000", None), ("50000 100000", 1), ("", None)])
def test_a_containers_quota_is_heeded(tmp_path: Path, text: str, expected: int | None) -> None:
    (tmp_path / "cpu.max").write_text(text)
    cores = len(os.sched_getaffinity(0))

    assert physical_cpus(tmp_path / "cpu.max") == (expected or cores)
    assert physical_cpus(tmp_path / "none") == cores


def test_free_and_taken_ports() -> None:
    port = free_port()
    assert is_free(port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()

        assert not is_free(port)


def test_the_folder_is_the_users_alone_and_short_enough_for_rays_sockets() -> None:
    folder = temp_dir()
    try:
        assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
        assert len(str(folder)) < 45
    finally:
        folder.rmdir()


def test_a_folder_of_someone_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="rt") as base:
        monkeypatch.setattr(tempfile, "tempdir", base)
        (Path(base) / f"raytrain-{os.getuid()}").symlink_to("/")

        with pytest.raises(ClusterError, match="another user"):
            temp_dir()


DASHBOARD = [
    "/venv/bin/python",
    "/venv/lib/python3.11/site-packages/ray/dashboard/dashboard.py",
    "--host=127.0.0.1",
    "--port=8270",
    "--gcs-address=127.0.0.1:6400",
]


def test_a_head_is_read_off_its_dashboards_command_line() -> None:
    head = head_of([*DASHBOARD, "--temp-dir=/tmp/ray"])
    ours = head_of([*DASHBOARD, f"--temp-dir=/tmp/raytrain-{os.getuid()}/tmpabc"])

    assert head is not None and ours is not None
    assert (head.url, head.gcs_address, head.of_raytrain) == ("http://127.0.0.1:8270", "127.0.0.1:6400", False)
    assert ours.of_raytrain
    assert head_of(["/venv/bin/python", "dashboard.py", "--port=1"]) is None
    assert head_of(DASHBOARD[:2]) is None
    assert head_of([]) is None
