"""A whole process of trackers, as the driver starts it, with MLflow's own server on SQLite, and W&B offline."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raytrain.cluster.local.machine import free_port
from raytrain.driver.trackers.follower import read_position
from raytrain.driver.trackers.trackers_process import TrackersProcess
from tests.driver.trackers.tracked import FINISHED, SUBMITTED, TEST, Directory, epoch

pytestmark = [pytest.mark.thorough, pytest.mark.processes, pytest.mark.timeout(900)]
_READY_WITHIN_S = 300
WITHIN_S = 300.0


@contextlib.contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[str]:
    """MLflow's server, once it answers."""
    program = shutil.which("mlflow", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert program, "MLflow's command is missing: pip install -e '.[dev]'"
    command = [program, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "art")]
    url = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        deadline = time.monotonic() + _READY_WITHIN_S
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=5):
                break
            assert server.poll() is None, (folder / "server.log").read_text()
            assert time.monotonic() < deadline, (folder / "server.log").read_text()
            time.sleep(0.5)
        yield url
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


def run_of(url: str, experiment: str) -> tuple[Any, Any]:
    """MLflow's client, and the only run of an experiment."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=url)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    [run] = client.search_runs([found.experiment_id])
    return client, run


def history(client: Any, run: Any, name: str) -> list[tuple[int, float]]:
    return sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, name))


def test_mlflow_is_caught_up_when_it_comes_and_shows_what_it_was_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    directory = Directory(tmp_path, [{"mlflow": {"uri": f"http://127.0.0.1:{port}"}}])
    directory.paths.model.write_bytes(b"a model")
    directory.add(SUBMITTED, epoch(0), epoch(1, loss=math.nan))
    process = TrackersProcess(directory.request, directory.paths, end_within_s=WITHIN_S)
    with process:
        process.begin()
        said = ""
        while "cannot be told now" not in said:
            said += capfd.readouterr().out
            time.sleep(0.2)
        with mlflow_server(tmp_path, port) as url:
            directory.add(epoch(2), TEST, FINISHED)
            process.end()
            client, run = run_of(url, "tiny")
            loss = history(client, run, "loss")
            assert [loss[0], loss[2]] == [(0, 1.0), (2, pytest.approx(1 / 3))]
            assert math.isnan(loss[1][1])
            assert run.data.metrics["test_loss"] == 0.5
            assert run.data.params["fit.global_batch_size"] == "32"
            assert (run.info.status, run.data.tags["raytrain.reason"]) == ("FINISHED", "completed")
            files = {file.path for file in client.list_artifacts(run.info.run_id)}
            assert {"model", "spec.json"} <= files
            assert [file.path for file in client.list_artifacts(run.info.run_id, "model")] == ["model/model.keras"]
            go_on(directory, client, run, capfd)


def go_on(directory: Directory, client: Any, run: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """A later attempt is told to the same run of MLflow's, each epoch once."""
    directory.add(epoch(3), FINISHED)
    command = [sys.executable, "-m", "raytrain.driver.trackers", str(directory.paths.root)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert [step for step, _ in history(client, run, "loss")] == [0, 1, 2, 3]


@contextlib.contextmanager
def answering(reply: bytes | None) -> Iterator[str]:
    """A server that says the same to everyone, or takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        kept: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    kept.append(connection)
                    if reply is not None:
                        connection.recv(65536)
                        connection.sendall(reply)
                        connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        for connection in kept:
            connection.close()


LIE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\nConnection: close\r\n\r\n<p>welcome</p>\n"


@pytest.mark.parametrize("reply", [None, LIE], ids=["silent", "lying"])
def test_a_server_that_hangs_or_lies_holds_up_no_end_and_no_other_tracker(
    reply: bytes | None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with answering(reply) as url:
        directory = Directory(tmp_path, ["tensorboard", {"mlflow": {"uri": url}}])
        directory.add(SUBMITTED, epoch(0), FINISHED)
        process = TrackersProcess(directory.request, directory.paths, end_within_s=30.0)
        with process:
            process.begin()
            deadline = time.monotonic() + WITHIN_S
            while not read_position(directory.paths, "tensorboard"):
                assert time.monotonic() < deadline
                time.sleep(0.2)
            began = time.monotonic()
        assert time.monotonic() - began < 60
    assert read_position(directory.paths, "mlflow") == {}
    assert "python -m raytrain.driver.trackers" in capfd.readouterr().out


def test_wandb_keeps_a_run_for_later(tmp_path: Path) -> None:
    directory = Directory(tmp_path, [{"wandb": {"mode": "offline"}}])
    directory.add(SUBMITTED, epoch(0), epoch(1), TEST, FINISHED)
    command = [sys.executable, "-m", "raytrain.driver.trackers", str(directory.paths.root)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), directory.paths.trackers_log(1).read_text()
    [kept] = directory.paths.wandb.glob("offline-run-*/run-tiny-1.wandb")
    content = kept.read_bytes()
    assert all(word in content for word in (b"val_loss", b"fit.global_batch_size", b"test_loss"))
