"""One real Ray cluster for the whole integration suite, started by raytrain itself, and a way to call the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.s3 import KEYS

JOBS = Path(__file__).parents[2] / "jobs"
RUN_TIMEOUT_S = 300


@dataclass(frozen=True, kw_only=True)
class Cli:
    """The `raytrain` command in an environment of its own, against the suite's cluster.

    Attributes:
        storage: where the runs of this suite are kept.
        url: the cluster's dashboard.
    """

    environment: dict[str, str]
    storage: Path
    url: str

    def __call__(self, *arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "raytrain", *map(str, arguments)]

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments), env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    @property
    def headers(self) -> dict[str, str]:
        """With the cluster's token, if it asks for one."""
        token = self.environment.get("RAY_AUTH_TOKEN_PATH")
        return {"Authorization": f"Bearer {Path(token).read_text()}"} if token else {}

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """What the dashboard answers, as JSON; with a body, to a POST."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, self.headers | {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def submit(self, *arguments: str | Path) -> dict[str, Any]:
        """The object of `submit --json`, of a run that was waited for."""
        done = self("submit", *arguments, "--json", "--storage", self.storage)
        assert done.stdout, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def submit_detached(self, *arguments: str | Path) -> str:
        """The id of a run that goes on by itself."""
        done = self("submit", *arguments, "--no-wait", "--storage", self.storage)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """The command, with a local cluster that `raytrain up` starts and `raytrain down` stops."""
    root = tmp_path_factory.mktemp("integration")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "RAYTRAIN_"))}
    (root / "token").write_text("a-token-of-the-suite")
    environment |= {"RAYTRAIN_STATE_DIR": str(root / "state"), "RAYTRAIN_ALLOW_MISSING_GPUS": "", **KEYS}
    environment |= {"RAY_AUTH_TOKEN_PATH": str(root / "token")}
    command = [sys.executable, "-m", "raytrain"]
    up = subprocess.run(
        [*command, "up", "--cpus", "4", "--gpus", "2"], env=environment, capture_output=True, text=True, check=False
    )
    assert up.returncode == 0, up.stderr
    yield Cli(
        environment=environment | {"RAYTRAIN_ADDRESS": up.stdout.strip()}, storage=root / "runs", url=up.stdout.strip()
    )
    subprocess.run([*command, "down"], env=environment, check=True, capture_output=True)


@pytest.fixture(scope="module")
def here(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """This process as a user's, with the suite's cluster, in the root of the repository."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(JOBS.parent)
        for name in ("RAYTRAIN_ADDRESS", "RAYTRAIN_STATE_DIR", "RAY_AUTH_TOKEN_PATH"):
            patch.setenv(name, cli.environment[name])
        patch.setenv("HOME", str(home))
        yield


def read_json_lines(text: str) -> Sequence[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
