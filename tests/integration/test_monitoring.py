"""A run as Prometheus, the board, a tracker and Ray's dashboard show it, each of them real."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from raytrain.cluster.local.machine import free_port
from raytrain.report import exported_metrics as exported
from raytrain.report.board import board
from raytrain.report.queries import recorded
from raytrain.run.events import EpochEnd
from tests.chromium import browser
from tests.integration.conftest import JOBS, Cli
from tests.integration.test_first_run import wait_for_epochs
from tests.prometheus import ask, program

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(1200)]
WITHIN_S = 240.0
# No GPU is there to be looked at.
WITHOUT_GPU = {"GPU at work", "GPU memory"}


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A run that goes on, and the Prometheus that scrapes its cluster."""

    cli: Cli
    run: str
    prometheus: str

    @property
    def directory(self) -> Path:
        return self.cli.storage / self.run

    def values(self, query: str) -> list[float]:
        return [float(found["value"][1]) for found in ask(self.prometheus, query)]


def wait_until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(1)


@pytest.fixture(scope="module")
def prometheus(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What `raytrain monitor --serve` starts; Ctrl-C ends it."""
    port, folder = free_port(), tmp_path_factory.mktemp("monitor")
    path = os.pathsep.join([str(Path(program("prometheus")).parent), cli.environment["PATH"]])
    serving = subprocess.Popen(
        cli.command("monitor", "--output", folder, "--serve", "--port", str(port), "--json"),
        env=cli.environment | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert serving.stderr is not None
    assert f"http://127.0.0.1:{port}" in serving.stderr.readline()
    yield f"http://127.0.0.1:{port}"
    serving.send_signal(signal.SIGINT)
    output, _ = serving.communicate(timeout=60)
    assert serving.returncode == 0
    assert json.loads(output)["board"] == str(folder / "raytrain-board.json")


@pytest.fixture(scope="module")
def watched(cli: Cli, prometheus: str) -> Iterator[Watched]:
    settings = ("fit.epochs=3000", "early_stopping.patience=9999", "tracking=[tensorboard]")
    run = cli.submit_detached(JOBS / "digits", *(word for setting in settings for word in ("--set", setting)))
    wait_for_epochs(cli.storage / run, 3, within_s=WITHIN_S)
    yield Watched(cli=cli, run=run, prometheus=prometheus)
    cli("stop", "--now", run)


def test_every_query_of_the_board_is_answered(watched: Watched) -> None:
    panels = [panel for panel in board()["panels"] if panel["type"] != "row"]
    waiting = {panel["title"] for panel in panels} - WITHOUT_GPU

    def answered() -> bool:
        for panel in panels:
            for target in panel["targets"]:
                query = target["expr"].replace("$run", watched.run).replace("$__range", "1h")
                if ask(watched.prometheus, query):
                    waiting.discard(panel["title"])
        return not waiting

    wait_until(answered, f"no answer for {waiting}")
    assert watched.values(f'{exported.WORKERS.series}{{run="{watched.run}"}}') == [2]
    assert len(watched.values(f'{exported.MEMORY.series}{{run="{watched.run}"}}')) == 2
    assert watched.values(f'ALERTS{{run="{watched.run}"}}') == []


def test_the_dashboard_shows_the_run_its_log_and_its_actors(watched: Watched) -> None:
    with browser() as opened:
        page = opened.new_page(extra_http_headers=watched.cli.headers)
        page.goto(f"{watched.cli.url}/#/jobs")
        page.get_by_text(watched.run).first.wait_for(timeout=WITHIN_S * 1000)
        page.goto(f"{watched.cli.url}/#/jobs/{watched.run}")
        page.get_by_text("User-provided metadata").wait_for(timeout=WITHIN_S * 1000)
        page.get_by_text(re.compile(r"epoch 1/3000 loss=")).first.wait_for(timeout=WITHIN_S * 1000)
        page.get_by_text("Expand").first.click()
        metadata = page.inner_text("body")
        for name in ("job_name", "workers", "model", "data", "storage", "owner", "raytrain_attempt", "commit"):
            assert f'"{name}"' in metadata, name
        assert f"{watched.run}/report.html" in metadata
        page.goto(f"{watched.cli.url}/#/actors")
        for actor in ("worker", "mailbox"):
            page.get_by_text(f"{actor} of {watched.run}").first.wait_for(timeout=WITHIN_S * 1000)


def test_what_a_run_said_last_can_be_read_when_it_has_ended(watched: Watched) -> None:
    epoch, losses = recorded(exported.EPOCH), recorded(exported.METRIC)
    chosen = f'run="{watched.run}"'
    wait_until(lambda: watched.values(f"{epoch}{{{chosen}}}"), "nothing is recorded")
    stopped = watched.cli("stop", watched.run)
    assert stopped.returncode == 0, stopped.stderr
    wait_until(lambda: not watched.values(f"{exported.EPOCH.series}{{{chosen}}}"), "the driver's gauges stay")
    [last] = watched.values(f"{epoch}{{{chosen}}}")
    assert last >= 3
    told = {point["metric"]["metric"] for point in ask(watched.prometheus, f"{losses}{{{chosen}}}")}
    assert told == {"loss", "accuracy", "val_loss", "val_accuracy"}
    check_tensorboard(watched)


def check_tensorboard(watched: Watched) -> None:
    """The trackers' process was told all before the job ended, and is gone."""
    from raytrain.run.event_log import read_events
    from tests.driver.trackers.test_tensorboard_tracker import curves

    events = read_events(watched.directory / "events.jsonl")
    kept: dict[str, Any] = json.loads((watched.directory / "tracking/tensorboard.json").read_text())
    assert kept["told"] == len(events)
    losses = {event.epoch: event.metrics["loss"] for event in events if isinstance(event, EpochEnd)}
    shown = curves(watched.directory / "tensorboard/train")["epoch_loss"]
    assert [number for number, _ in shown] == list(losses)  # each once
    assert dict(shown) == pytest.approx(losses, abs=1e-6)
