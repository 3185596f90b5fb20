"""What `monitor` writes, for a cluster that a stand-in is."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from raytrain.client.monitor import Monitoring, monitor
from raytrain.cluster.local.machine import free_port
from raytrain.errors import ClusterError, ClusterUnreachable, NotFound, UsageError
from tests.cluster.stand_in import Answer, StandIn
from tests.prometheus import ask, program, promtool


@pytest.fixture
def cluster(dashboard: StandIn) -> StandIn:
    dashboard.answer("/api/version", Answer(body={"ray_version": "2.60.0", "session_name": "s"}))
    dashboard.answer("/nodes", Answer(body={"data": {"summary": []}}))
    return dashboard


def discovery(written: Monitoring) -> dict[str, object]:
    [job] = yaml.safe_load(written.config.read_text())["scrape_configs"]
    [found] = job["http_sd_configs"]
    assert isinstance(found, dict)
    return found


def test_what_is_written_is_in_order_and_finds_the_nodes(
    cluster: StandIn, environ: dict[str, str], tmp_path: Path
) -> None:
    written = monitor(tmp_path / "m", address=cluster.url, environ=environ)
    done = promtool("check", "config", written.config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 rule files found" in done.stdout
    assert discovery(written) == {"url": f"{cluster.url}/api/prometheus/sd", "refresh_interval": "15s"}
    assert sorted(file.name for file in written.folder.iterdir()) == [
        *("prometheus.yml", "raytrain-board.json", "raytrain-rules.yml")
    ]


def test_a_token_is_named_by_its_file(cluster: StandIn, environ: dict[str, str], tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    del environ["RAY_AUTH_TOKEN"]
    environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    written = monitor(tmp_path / "m", address=cluster.url, environ=environ)
    assert discovery(written)["authorization"] == {"type": "Bearer", "credentials_file": str(token)}
    assert all("secret" not in file.read_text() for file in written.folder.iterdir())


def test_a_token_of_the_environment_is_kept_for_the_user_alone(
    cluster: StandIn, environ: dict[str, str], tmp_path: Path
) -> None:
    environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "secret"}
    written = monitor(tmp_path / "m", address=cluster.url, environ=environ)
    kept = written.folder / "ray-token"
    assert (kept.read_text(), stat.S_IMODE(kept.stat().st_mode)) == ("secret", 0o600)
    assert discovery(written)["authorization"] == {"type": "Bearer", "credentials_file": str(kept)}


def test_a_cluster_that_does_not_answer_is_told(environ: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ClusterUnreachable):
        monitor(tmp_path / "m", address="http://127.0.0.1:9", environ=environ)
    assert not (tmp_path / "m").exists()


def test_a_folder_that_cannot_be_is_told(cluster: StandIn, environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotFound, match="a folder to write into"):
        monitor(tmp_path / "file" / "m", address=cluster.url, environ=environ)


def test_without_prometheus_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotFound, match="apt install prometheus"):
        Monitoring(address="http://x", folder=tmp_path).serve()


def test_a_port_that_is_taken_is_told(cluster: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_for_prometheus(tmp_path, monkeypatch, "exit 0")
    with pytest.raises(UsageError, match="--port"):
        Monitoring(address=cluster.url, folder=tmp_path).serve(port=int(cluster.url.rpartition(":")[2]))


def test_one_that_ends_by_itself_is_told_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_for_prometheus(tmp_path, monkeypatch, "echo it cannot be; exit 3")
    with pytest.raises(ClusterError, match="exit code 3: it cannot be"):
        Monitoring(address="http://x", folder=tmp_path).serve(port=free_port())


def stand_for_prometheus(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "prometheus"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


@pytest.mark.thorough
@pytest.mark.processes
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_prometheus_finds_the_nodes_with_the_token_and_ends_with_the_command(
    ending: signal.Signals, cluster: StandIn, environ: dict[str, str], tmp_path: Path
) -> None:
    nodes = [{"labels": {}, "targets": [cluster.url.partition("//")[2]]}]
    cluster.answer("/api/prometheus/sd", Answer(body=nodes, headers={"Content-Type": "application/json"}))
    port = free_port()
    environ = dict(os.environ) | environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "secret"}
    environ["PATH"] = f"{Path(program('prometheus')).parent}{os.pathsep}{environ['PATH']}"
    command = [sys.executable, "-m", "raytrain", "monitor", "--address", cluster.url, "--output", str(tmp_path / "m")]
    command += ["--serve", "--port", str(port)]
    serving = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert serving.stderr is not None
    try:
        assert f"http://127.0.0.1:{port}" in serving.stderr.readline()
        deadline = time.monotonic() + 60
        while not ask(f"http://127.0.0.1:{port}", "up"):  # the node is known, and was scraped
            assert time.monotonic() < deadline, (tmp_path / "m" / "prometheus.log").read_text()
            time.sleep(0.2)
    finally:
        serving.send_signal(ending)
        serving.communicate(timeout=60)
    assert serving.returncode == 0
    asked = cluster.asked_for("/api/prometheus/sd")
    assert {request.headers.get("Authorization") for request in asked} == {"Bearer secret"}
    assert {request.headers.get("Authorization") for request in cluster.asked_for("/metrics")} == {None}
    with pytest.raises(OSError, match="refused"):
        ask(f"http://127.0.0.1:{port}", "up")
