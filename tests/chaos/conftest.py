from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.chaos import table
from tests.chaos.cluster_of_nodes import Nodes
from tests.chaos.crew import Crew
from tests.integration.conftest import Cli


@pytest.fixture(scope="package")
def crew() -> Crew:
    """Starts two workers at a time, without Ray, as often as they are killed."""
    return Crew(2)


@pytest.fixture(scope="package")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """The command, with a local cluster of its own: these tests end clusters."""
    root = tmp_path_factory.mktemp("chaos")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "RAYTRAIN_"))}
    (root / "token").write_text("a-token-of-the-suite")
    environment |= {"RAYTRAIN_STATE_DIR": str(root / "state"), "RAY_AUTH_TOKEN_PATH": str(root / "token")}
    url = up(environment)
    try:
        yield Cli(environment=environment | {"RAYTRAIN_ADDRESS": url}, storage=root / "runs", url=url)
    finally:
        subprocess.run([sys.executable, "-m", "raytrain", "down"], env=environment, check=True, capture_output=True)


@pytest.fixture
def start_nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Nodes]]:
    """Starts a cluster with so many nodes for workers; several of them one after another."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    started: list[Nodes] = []

    def start(spots: int) -> Nodes:
        for nodes in started:
            nodes.close()
        started.append(Nodes(spots))
        return started[-1]

    yield start
    for nodes in started:
        nodes.close()


def up(environment: dict[str, str]) -> str:
    """The address of the local cluster, started where there is none."""
    command = [sys.executable, "-m", "raytrain", "up", "--cpus", "4", "--gpus", "2"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not table.TABLE:
        return
    terminalreporter.section(f"what the faults came to ({'full' if table.FULL else 'short'} form)")
    for line in table.lines():
        terminalreporter.line(line)
