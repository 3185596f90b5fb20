"""Prometheus and Grafana for runs: writes what they are to read, and starts the Prometheus of this machine."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from raytrain.cluster.auth import find_token, token_file
from raytrain.cluster.connect import connect
from raytrain.cluster.door import wants_token
from raytrain.errors import ClusterError, NotFound, Problem, UsageError
from raytrain.files import state_dir, write_whole
from raytrain.report.alerts import rules
from raytrain.report.board import board
from raytrain.report.scrape_config import scrape_config

PROMETHEUS_PORT = 9090
_KEPT = "90d"
_READY_WITHIN_S = 60.0
_ENDS_WITHIN_S = 30.0
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    """What `monitor` has written, all in one `folder`.

    Attributes:
        address: the cluster's dashboard, which tells Prometheus where the nodes are.
        config: a whole `prometheus.yml`, whose `scrape_configs` and `rule_files` fit into another.
        rules: recording and alert rules.
        board: a Grafana board, to be imported or provisioned.
    """

    address: str
    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "prometheus.yml"

    @property
    def rules(self) -> Path:
        return self.folder / "raytrain-rules.yml"

    @property
    def board(self) -> Path:
        return self.folder / "raytrain-board.json"

    def to_dict(self) -> dict[str, Any]:
        """As `monitor --json` prints it."""
        files = {name: str(getattr(self, name)) for name in ("folder", "config", "rules", "board")}
        return {"schema_version": 1, "address": self.address, **files}

    def serve(self, *, port: int = PROMETHEUS_PORT, ready: Callable[[str], None] | None = None) -> None:
        """Runs this machine's Prometheus on what was written, until Ctrl-C; it answers this machine alone.

        Args:
            port: where it answers.
            ready: told its URL once it answers.

        Raises:
            NotFound: no Prometheus is installed here.
            UsageError: the port is taken.
            ClusterError: it ends by itself; names its log.
        """
        program = shutil.which("prometheus")
        if program is None:
            fix = "apt install prometheus, or its archive from prometheus.io; or let your own read what was written"
            raise NotFound(Problem(got="no prometheus on the PATH", expected="Prometheus to start", fix=fix))
        _check_free(port)
        log = self.folder / "prometheus.log"
        with log.open("wb") as output:
            process = subprocess.Popen(self._command(program, port), stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait_until_ready(process, port, log)
            if ready:
                ready(f"http://127.0.0.1:{port}")
            if process.wait():
                raise _ended(process, log)
        except KeyboardInterrupt:
            pass  # which ends it, and the terminal has told Prometheus, too
        finally:
            _end(process)

    def _command(self, program: str, port: int) -> list[str]:
        options = {
            "config.file": self.config,
            "storage.tsdb.path": self.folder / "data",
            "storage.tsdb.retention.time": _KEPT,
            "web.listen-address": f"127.0.0.1:{port}",
        }
        return [program, *(f"--{name}={value}" for name, value in options.items())]


def monitor(
    output: str | os.PathLike[str] | None = None,
    *,
    address: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Monitoring:
    """Writes Prometheus' configuration and rules and Grafana's board for the cluster's runs.

    Args:
        output: the folder to write into; `monitor` in raytrain's state directory when left out.
        address: as for `submit`; no cluster is started.
        environ: this process's own environment when left out.

    Raises:
        UsageError, ClusterError: there is no cluster, or it does not answer.
        NotFound: the folder cannot be written.
    """
    environ = os.environ if environ is None else environ
    url = connect(address, environ=environ, start_local=False).address.url
    folder = Path(output).absolute() if output is not None else state_dir(environ) / "monitor"
    written = Monitoring(address=url, folder=folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        token = _token_file(folder, environ, asked=wants_token(url))
        config = scrape_config(url, rules=written.rules, token_file=token)
        write_whole(written.config, yaml.safe_dump(config, sort_keys=False))
        write_whole(written.rules, yaml.safe_dump(rules(), sort_keys=False, width=1000))
        write_whole(written.board, json.dumps(board(), indent=1))
    except OSError as error:
        problem = Problem(got=f"{folder}: {error.strerror}", expected="a folder to write into", fix="name another")
        raise NotFound(problem) from error
    return written


def _token_file(folder: Path, environ: Mapping[str, str], *, asked: bool) -> Path | None:
    """Where Prometheus reads the cluster's token; a file of our own where it stands in the environment."""
    token, kept = find_token(environ, asked=asked), token_file(environ, asked=asked)
    if token is None or kept is not None:
        return kept
    own = folder / "ray-token"
    own.touch(mode=0o600)
    own.chmod(0o600)
    own.write_text(token)
    return own


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            problem = Problem(got=f"port {port}: {error.strerror}", expected="a port that is free", fix="--port=…")
            raise UsageError(problem) from None


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    import requests

    deadline = time.monotonic() + _READY_WITHIN_S
    with requests.Session() as session:
        session.trust_env = False  # no proxy stands before this machine
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise _ended(process, log)
            try:
                if session.get(f"http://127.0.0.1:{port}/-/ready", timeout=5).ok:
                    return
            except requests.RequestException:
                pass
            time.sleep(_LOOK_EVERY_S)
    raise ClusterError(Problem(got="a Prometheus that does not answer", expected="it to be ready", fix=f"see {log}"))


def _ended(process: subprocess.Popen[bytes], log: Path) -> ClusterError:
    lines = log.read_text(errors="replace").splitlines()
    got = f"Prometheus, which ended with exit code {process.returncode}: {lines[-1] if lines else 'it said nothing'}"
    return ClusterError(Problem(got=got, expected="it to go on", fix=f"its whole log is {log}"))


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
