"""What 1,000 ranks tell the driver: how far its collecting lags behind, what it costs, and what is left to read.

Run by `make bench`. A few processes speak for all ranks through the workers' own end of a real mailbox actor: each rank
a heartbeat a second, and its part of an epoch every few; the driver's own reader, progress, watchdog and
recorder take them, and the command's own `status` and `watch` read what was written.
"""

from __future__ import annotations

import argparse
import os
import pty
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from benchmarks.machine import description
from raytrain import protocol
from raytrain.driver.mailbox import start_mailbox
from raytrain.driver.mailbox_reader import MailboxReader
from raytrain.driver.rank_progress import RankProgress
from raytrain.driver.recorder import Recorder, open_recorder
from raytrain.driver.watchdog import find_hang
from raytrain.run import events
from raytrain.run.run_paths import RunPaths
from raytrain.spec.job import JobSpec
from raytrain.spec.request import JobRequest
from raytrain.worker.fault_injection import DRIVER, Injector

RUN = "many-20261120-0715-4f2a"
EPOCH_S = 5
SPEAKERS = 4
MOST_LAG_S = 2.0


@dataclass(frozen=True, kw_only=True)
class FanIn:
    """What a crowd's talk came to.

    Attributes:
        lags_s: from saying to being noted, of every heartbeat, in order of arrival.
        speakers_late_s: how far those who speak for the ranks were behind themselves.
        driver_cpu, mailbox_cpu: processor seconds a second.
        hangs: how often the watchdog saw a hang; there was none.
    """

    ranks: int
    seconds: int
    lags_s: list[float]
    speakers_late_s: float
    driver_cpu: float
    mailbox_cpu: float
    log_bytes: int
    epochs: int
    hangs: int

    def lag_s(self, third: int) -> float:
        """The median lag in a third of the time, counted from 0."""
        size = len(self.lags_s) // 3
        return statistics.median(self.lags_s[third * size : (third + 1) * size])


class Speakers:
    """Speaks for some ranks, in a process of its own."""

    def speak(self, mailbox: Any, ranks: Sequence[int], workers: int, seconds: int) -> float:
        """A heartbeat a second of each rank, and the chief's epochs; returns how late the last words came."""
        from raytrain.worker.train_loop import MailboxChannel

        channels = {rank: MailboxChannel(mailbox, 0) for rank in ranks}
        began = time.time()
        for second in range(seconds):
            for place, (rank, channel) in enumerate(channels.items()):
                time.sleep(max(0.0, began + second + place / len(ranks) - time.time()))
                channel.send(_heartbeat(rank, second))
                if rank == 0 and second % EPOCH_S == EPOCH_S - 1:
                    channel.send(_epoch_done(second // EPOCH_S, workers))
        late_s = time.time() - began - seconds
        for channel in channels.values():
            channel.flush()
        return late_s


class _Timed(RankProgress):
    """Notes how old every heartbeat is that it is told of."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.lags_s: list[float] = []

    def note(self, message: protocol.Message) -> None:
        super().note(message)
        if isinstance(message, protocol.Heartbeat):
            self.lags_s.append(time.time() - message.time)


def run(root: Path, *, ranks: int, seconds: int) -> FanIn:
    """Lets `ranks` ranks speak for `seconds` seconds; the run's directory is `root/RUN`. Needs `ray.init`."""
    mailbox, progress = start_mailbox(), _Timed(ranks)
    ray.get(mailbox.begin.remote(0))
    paths, recorder = RunPaths.of(root, RUN), _recorder(root, ranks)
    speakers = [ray.remote(Speakers).options(num_cpus=0).remote() for _ in range(SPEAKERS)]
    progress.placed()
    with (
        MailboxReader(mailbox, recorder, progress, Injector(None, root=paths.root, rank=DRIVER)),
        _watched(progress) as hangs,
    ):
        before, began = (time.process_time(), _mailbox_cpu_s()), time.perf_counter()
        calls = [
            speaker.speak.remote(mailbox, range(number, ranks, SPEAKERS), ranks, seconds)
            for number, speaker in enumerate(speakers)
        ]
        late_s = max(ray.get(calls))
        passed_s = time.perf_counter() - began
        spent = time.process_time() - before[0], _mailbox_cpu_s() - before[1]
    recorder.record(events.RunFinished(status="SUCCEEDED", reason="completed"))
    recorder.close()
    for rank in (0, ranks - 1):
        log = paths.rank_log(1, rank)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"rank {rank} of {RUN}\n")
    for actor in (*speakers, mailbox):
        ray.kill(actor)
    return FanIn(
        ranks=ranks,
        seconds=seconds,
        lags_s=progress.lags_s,
        speakers_late_s=late_s,
        driver_cpu=spent[0] / passed_s,
        mailbox_cpu=spent[1] / passed_s,
        log_bytes=paths.events.stat().st_size,
        epochs=len(recorder.summary.epochs),
        hangs=len(hangs),
    )


@contextmanager
def _watched(progress: RankProgress) -> Iterator[list[Any]]:
    """Asks the watchdog once a second, as the driver's monitor does."""
    hangs: list[Any] = []
    ending = threading.Event()

    def look() -> None:
        while not ending.wait(1.0):
            hangs.extend(filter(None, [find_hang(progress.states(), _spec(1).watchdog)]))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield hangs
    finally:
        ending.set()
        thread.join()


def _spec(ranks: int) -> JobSpec:
    data = {"train": {"inline": {"x": [0.0]}}, "features": "x"}
    scaling = {"workers": ranks}
    return JobSpec.model_validate({"name": "many", "model": "m.py:build_model", "data": data, "scaling": scaling})


def _recorder(root: Path, ranks: int) -> Recorder:
    request = JobRequest(run=RUN, attempt=1, submitted_at=time.time(), spec=_spec(ranks), storage=str(root))
    recorder = open_recorder(request, RunPaths.of(root, RUN), mirror=root / "mirror.jsonl")
    submitted = events.Submitted(
        name="many",
        workers=ranks,
        global_batch_size=ranks,
        epochs=99,
        storage=str(root),
        submitted_at=request.submitted_at,
    )
    recorder.record(submitted)
    recorder.record(events.GroupStarted(workers=ranks))
    places = [events.RankPlace(node="10.0.0.1", pid=10_000 + rank) for rank in range(ranks)]
    recorder.record(events.Placed(ranks=places))
    recorder.begin_group(ranks)
    return recorder


def _heartbeat(rank: int, second: int) -> protocol.Heartbeat:
    return protocol.Heartbeat(
        rank=rank, time=time.time(), phase="train", epoch=second // EPOCH_S, step=second, stalled_s=0.1, step_s=0.25
    )


def _epoch_done(epoch: int, ranks: int) -> protocol.Happened:
    end = events.EpochEnd.measured(
        time=time.time(),
        epoch=epoch,
        rank_seconds=[EPOCH_S + rank / 7000 for rank in range(ranks)],
        rank_rows=[1000 + rank % 3 for rank in range(ranks)],
        rank_wait_s=[rank / 9000 for rank in range(ranks)],
        metrics={"loss": 1 / (epoch + 3), "accuracy": 0.7, "val_loss": 1 / (epoch + 2), "val_accuracy": 0.6},
        learning_rate=0.001,
        best=events.Best(epoch=epoch, monitor="val_loss", value=0.5),
        patience_left=3,
    )
    return protocol.Happened(rank=0, time=end.time, event=end)


def _mailbox_cpu_s() -> float:
    """Processor seconds of all mailbox actors of this machine so far."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"ray::Mailbox" in (process / "cmdline").read_bytes():
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        except OSError:
            continue  # it has just ended
    return ticks / os.sysconf("SC_CLK_TCK")


def first_words_s(*arguments: str) -> float:
    """Seconds from the start of a raytrain command on a terminal to the run's name on it."""
    ours, theirs = pty.openpty()
    began = time.perf_counter()
    command = [str(Path(sys.executable).parent / "raytrain"), *arguments]
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    shown = b""
    try:
        while RUN.encode() not in shown:
            shown += os.read(ours, 65536)
    except OSError as error:
        raise SystemExit(f"{' '.join(arguments)} ended without a word of the run: {shown.decode()}") from error
    took_s = time.perf_counter() - began
    process.terminate()
    process.wait()
    os.close(ours)
    return took_s


def lines(found: FanIn, commands_s: dict[str, float]) -> Iterator[str]:
    lag_s = found.lag_s(2)
    yield description()
    yield ""
    yield f"{found.ranks:,} ranks for {found.seconds} s, {len(found.lags_s):,} heartbeats, {found.epochs} epochs"
    yield f"{'lag of the reader, median, first third':<52}{found.lag_s(0):>10.3f} s"
    missed = "" if lag_s < MOST_LAG_S else f"  missed: {MOST_LAG_S:g} s"
    yield f"{'lag of the reader, median, last third':<52}{lag_s:>10.3f} s{missed}"
    yield f"{'lag of the reader, most':<52}{max(found.lags_s):>10.3f} s"
    yield f"{'lag of the simulated ranks themselves':<52}{found.speakers_late_s:>10.3f} s"
    yield f"{'driver, processors':<52}{found.driver_cpu:>10.2f}"
    yield f"{'mailbox, processors':<52}{found.mailbox_cpu:>10.2f}"
    yield f"{'events.jsonl, an epoch':<52}{found.log_bytes / max(1, found.epochs) / 1024:>10.1f} KiB"
    for command, seconds in commands_s.items():
        yield f"{f'raytrain {command}, first words':<52}{seconds:>10.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    ray.init(num_cpus=4, log_to_driver=False, logging_level="error", runtime_env={"env_vars": {"PYTHONPATH": "."}})
    with tempfile.TemporaryDirectory(prefix="raytrain-bench-") as temporary:
        found = run(Path(temporary), ranks=options.ranks, seconds=options.seconds)
        directory = str(RunPaths.of(temporary, RUN).root)
        commands = {"status": [], "watch": [], "logs": ["--rank", str(options.ranks - 1)]}
        commands_s = {name: first_words_s(name, directory, *more) for name, more in commands.items()}
    print("\n".join(lines(found, commands_s)))  # noqa: T201


if __name__ == "__main__":
    main()
