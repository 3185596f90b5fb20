"""Tests of the local cluster's record and lock, without Ray; the cluster itself starts in tests/integration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from raytrain.cluster.local import local_cluster, ray_start
from raytrain.cluster.local.cluster_processes import ProcessId, identify
from raytrain.cluster.local.cluster_record import LocalCluster, locked_record, read_record, record_path, write_record
from raytrain.errors import ClusterError

Environ = dict[str, str]


def cluster(*processes: ProcessId, temp_dir: str = "/nowhere") -> LocalCluster:
    return LocalCluster(
        url="http://127.0.0.1:8265",
        ray_session="session_1",
        temp_dir=temp_dir,
        session=os.getsid(0),
        mark="no such mark",
        processes=processes,
        started_at=1.0,
        cpus=4,
        gpus=None,
        python="/venv/bin/python",
        log="/log",
    )


def ourselves() -> ProcessId:
    return ProcessId(pid=os.getpid(), began=psutil.Process().create_time(), name="raylet")


def test_a_record_comes_back(environ: Environ) -> None:
    write_record(cluster(ourselves()), environ)

    assert read_record(environ) == cluster(ourselves())
    assert local_cluster.running(environ) == cluster(ourselves())


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema_version": 99}', '{"schema_version": 1, "url": 1}'])
def test_a_broken_record_counts_for_nothing(environ: Environ, text: str) -> None:
    path = record_path(environ)
    path.parent.mkdir(parents=True)
    path.write_text(text)

    assert local_cluster.running(environ) is None
    assert local_cluster.stop(environ) is False
    assert not path.exists()


def test_a_record_that_outlived_its_cluster_is_noticed_and_nothing_is_killed(environ: Environ, tmp_path: Path) -> None:
    """As after a restart of the machine: the pids are others' now, one of them this test's own."""
    reused = ProcessId(pid=os.getpid(), began=ourselves().began - 1000)
    (tmp_path / "ray").mkdir()
    write_record(cluster(reused, temp_dir=str(tmp_path / "ray")), environ)

    assert local_cluster.running(environ) is None
    assert local_cluster.stop(environ) is False
    assert not record_path(environ).exists()
    assert not (tmp_path / "ray").exists()


def test_a_cluster_outlives_a_clock_that_is_set(
    environ: Environ, monkeypatch: pytest.MonkeyPatch, set_the_clock: Callable[[float], None]
) -> None:
    known = identify(psutil.Process())
    assert known is not None
    write_record(cluster(known), environ)
    for step in ("_stop", "_start"):
        monkeypatch.setattr(local_cluster, step, lambda *_, step=step: pytest.fail(f"{step} of a cluster that lives"))

    set_the_clock(-3600)

    assert local_cluster.start(environ=environ) == cluster(known)
    assert local_cluster._session_of(cluster(known)) == os.getsid(0)


def test_a_record_of_before_is_read(environ: Environ) -> None:
    """Records did not tell how long after the boot a process began."""
    write_record(cluster(ourselves()), environ)
    path = record_path(environ)
    body = json.loads(path.read_text())
    del body["processes"][0]["since_boot"]
    path.write_text(json.dumps(body))

    assert local_cluster.running(environ) == cluster(ourselves())


def test_a_cluster_that_lost_a_vital_process_does_not_live() -> None:
    gone = ProcessId(pid=os.getpid(), began=1.0)

    assert cluster(ourselves()).is_alive
    assert not cluster(ourselves(), gone).is_alive
    assert not cluster().is_alive


def test_nothing_to_stop(environ: Environ) -> None:
    assert local_cluster.stop(environ) is False
    assert not Path(environ["RAYTRAIN_STATE_DIR"]).exists()


def test_a_start_that_fails_quotes_the_log_and_leaves_nothing(
    environ: Environ, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "ray"
    folder.mkdir()
    monkeypatch.setattr(local_cluster, "temp_dir", lambda: folder)
    monkeypatch.setattr(local_cluster, "start_command", lambda *_: ["sh", "-c", "echo no room left; exit 3"])

    with pytest.raises(ClusterError, match=r"ray start ended with code 3.*\n.*no room left"):
        local_cluster.start(environ=environ | {"PATH": os.defpath}, timeout_s=10)

    assert not folder.exists()
    assert local_cluster.running(environ) is None


@pytest.mark.parametrize("said", ["127.0.0.1:8265 is already occupied", "The current node timed out during startup"])
def test_a_start_that_ray_gave_up_is_tried_again(
    said: str, environ: Environ, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    starts = tmp_path / "starts"
    monkeypatch.setattr(local_cluster, "temp_dir", lambda: Path(tempfile.mkdtemp(dir=tmp_path)))
    command = f"echo started >> {starts}; echo {said}; exit 1"
    monkeypatch.setattr(local_cluster, "start_command", lambda *_: ["sh", "-c", command])

    with pytest.raises(ClusterError, match=rf"ray start ended with code 1.*\n.*{said}"):
        local_cluster.start(environ=environ | {"PATH": os.defpath}, timeout_s=20)

    assert starts.read_text().count("started") >= 2


def test_a_start_that_takes_too_long_is_ended(
    environ: Environ, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(local_cluster, "temp_dir", lambda: tmp_path)
    monkeypatch.setattr(local_cluster, "start_command", lambda *_: ["sleep", "60"])
    began = time.monotonic()

    with pytest.raises(ClusterError, match=r"not ready in time \(.+\)"):
        local_cluster.start(environ=environ | {"PATH": os.defpath}, timeout_s=0.3)

    assert time.monotonic() - began < 10


HOLD = """
import os, time
from raytrain.cluster.local.cluster_record import locked_record
with locked_record(os.environ, timeout_s=1):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(environ: Environ) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock."""
    command = [sys.executable, "-c", HOLD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environ}) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_one_process_at_a_time_starts_or_stops_the_cluster(
    environ: Environ, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_record(cluster(ourselves()), environ)
    monkeypatch.setattr(local_cluster, "START_TIMEOUT_S", -9.9)  # the lock is waited for 10 s longer
    held = rf"another raytrain that has been starting or stopping .* it holds {record_path(environ).parent}/local\.lock"

    with pytest.raises(ClusterError, match=held):
        local_cluster.start(environ=environ, timeout_s=-9.9)
    with pytest.raises(ClusterError, match=held):
        local_cluster.stop(environ)


def test_a_process_that_dies_lets_go_of_the_lock(environ: Environ, holder: subprocess.Popen[str]) -> None:
    holder.kill()

    with locked_record(environ, timeout_s=60):
        pass


def test_the_lock_is_let_go_after_an_error(environ: Environ) -> None:
    for _ in range(2):
        with pytest.raises(KeyError), locked_record(environ, timeout_s=0):
            raise KeyError


def test_a_state_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environ = {"RAYTRAIN_STATE_DIR": str(tmp_path / "file")}
    expected = rf"got {tmp_path}/file/local\.lock, which cannot be written \(.+\).* set RAYTRAIN_STATE_DIR"

    with pytest.raises(ClusterError, match=expected), locked_record(environ, timeout_s=1):
        pass


def test_what_the_head_inherits() -> None:
    environ = {"RAY_ADDRESS": "x", "TF_CONFIG": "{}", "PATH": "/bin", "MINE": "1"}
    given = ray_start.start_environment(environ, "m")

    assert "RAY_ADDRESS" not in given and "TF_CONFIG" not in given
    assert given["MINE"] == "1"
    assert given["PATH"].endswith(":/bin")
    assert given["RAY_AUTH_MODE"] == "token"
    assert ray_start.start_environment({"RAY_AUTH_MODE": "disabled"}, "m")["RAY_AUTH_MODE"] == "disabled"
