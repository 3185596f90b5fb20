"""How `ray start` is called for the local cluster: its options and its environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from raytrain.cluster.local import cluster_processes
from raytrain.cluster.local.machine import free_port

# What would turn `ray start`, or the jobs that inherit its environment, into something else.
_NOT_INHERITED = (
    "RAY_ADDRESS",
    "RAY_API_SERVER_ADDRESS",
    "RAY_START_HOOK",
    "RAY_NAMESPACE",
    "RAY_JOB_CONFIG_JSON_ENV_VAR",
    "TF_CONFIG",
)


def start_command(port: int, folder: Path, cpus: int, gpus: int | None) -> list[str]:
    """`ray start`, on ports that no other cluster of this machine uses: 0 lets Ray choose one that is free."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--disable-usage-stats"]
    options: dict[str, object] = {
        # Said aloud, it makes `ray start` fail when the dashboard does.
        "include-dashboard": "true",
        "log-color": "false",
        "node-ip-address": "127.0.0.1",
        "port": 0,
        "dashboard-host": "127.0.0.1",
        "dashboard-port": port,
        "dashboard-agent-listen-port": 0,
        "ray-client-server-port": free_port(),
        "min-worker-port": 0,
        "max-worker-port": 0,
        "temp-dir": folder,
        "num-cpus": cpus,
    }
    if gpus is not None:
        options["num-gpus"] = gpus
    return command + [f"--{name}={value}" for name, value in options.items()]


def start_environment(environ: Mapping[str, str], mark: str) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if name not in _NOT_INHERITED}
    return kept | {
        cluster_processes.MARK: mark,
        # Jobs begin with `python`, which must be the one that has Ray and TensorFlow.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)]),
        "RAY_AUTH_MODE": environ.get("RAY_AUTH_MODE") or "token",  # else any user of this machine may run code on it
        "RAY_USAGE_STATS_ENABLED": "0",
        # Keeps Ray from replacing 127.0.0.1 by the machine's address on the network, where others could reach it.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        # Workers started ahead cannot serve a job that brings its own files; they only take its CPUs at the start.
        "RAY_enable_worker_prestart": "0",
        "RAY_prestart_worker_first_driver": "0",
        "RAY_metrics_report_interval_ms": environ.get("RAY_metrics_report_interval_ms", "2000"),
        "RAY_TRAIN_ENABLE_STATE_TRACKING": "1",
        # How long Ray waits for processes that it has started, of which a slow machine has several to start at once.
        "RAY_gcs_server_port_wait_time_s": "300",
        "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "300",
        "RAY_worker_register_timeout_seconds": "300",
    }
