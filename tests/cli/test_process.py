"""The command as a real process: signals, pipes, terminals, and how long it takes."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from raytrain.errors import Failure
from tests.cli import lives
from tests.cli.stand_in import Life, StandIn, stand_in_cluster

PROGRAM = [sys.executable, "-m", "raytrain"]
ENDLESS = Life(events=[*lives.beginning(epochs=10), lives.epoch(0)], status="RUNNING")


def submit(job: Path, cluster: StandIn, *options: str) -> list[str]:
    return [*PROGRAM, "submit", str(job), "--address", cluster.url, *options]


def read_until(stream: int, wanted: Callable[[str], bool], timeout_s: float = 20.0) -> str:
    """What comes out of a file descriptor until it is what is wanted, or nothing more comes."""
    text, end = "", time.monotonic() + timeout_s
    while not wanted(text):
        assert time.monotonic() < end, text
        if not select.select([stream], [], [], 0.1)[0]:
            continue
        try:
            chunk = os.read(stream, 65536)
        except OSError:  # the other side of a terminal is closed
            chunk = b""
        if not chunk:
            break
        text += chunk.decode("utf-8", errors="replace")
    return text


@pytest.mark.parametrize("verb", ["submit", "watch", "wait"])
def test_ctrl_c_leaves_the_run_alone_and_says_how_to_come_back(job: Path, verb: str) -> None:
    with stand_in_cluster(ENDLESS) as cluster:
        arguments = submit(job, cluster)
        if verb != "submit":
            run = subprocess.run([*arguments, "-d"], capture_output=True, text=True, check=True).stdout.strip()
            arguments, cluster.asked = [*PROGRAM, verb, run], 0
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout and process.stderr
            shows = {"submit": process.stderr, "watch": process.stdout}.get(verb)
            if shows:
                read_until(shows.fileno(), lambda text: "epoch 1/3" in text)
            while not shows and not cluster.asked:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            stderr = read_until(process.stderr.fileno(), lambda text: False)
            assert process.wait(10) == 130
        [run] = cluster.jobs
        assert cluster.jobs[run].status == "RUNNING"

    assert f"detached: {run} goes on" in stderr
    assert f"raytrain watch {run}" in stderr
    assert f"raytrain stop {run}" in stderr
    assert "Traceback" not in stderr


def test_ctrl_c_with_json_says_how_the_run_stands(job: Path) -> None:
    with stand_in_cluster(ENDLESS) as cluster:
        arguments = submit(job, cluster, "--json")
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout and process.stderr
            read_until(process.stderr.fileno(), lambda text: "epoch 1/" in text)
            process.send_signal(signal.SIGINT)
            stdout, _ = process.communicate(timeout=10)

    assert process.returncode == 130
    told = json.loads(stdout)
    assert (told["status"], told["epochs"]) == ("RUNNING", 1)


def test_a_killed_client_leaves_the_run_alone(job: Path) -> None:
    with stand_in_cluster(Life(pause_s=0.1)) as cluster:
        with subprocess.Popen(submit(job, cluster), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
            assert process.stderr
            read_until(process.stderr.fileno(), lambda text: "epoch 1/3" in text)
            process.kill()
        watched = subprocess.run([*PROGRAM, "watch", "@last"], capture_output=True, text=True, check=False)

    assert watched.returncode == 0
    assert "epoch 3/3" in watched.stdout


def test_a_verb_that_cannot_be_imported_is_a_bug() -> None:
    broken = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules['raytrain.client.run_view'] = None\n"
            "sys.argv = ['raytrain', 'status', 'x']; from raytrain.cli.main import main; main()",
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert broken.returncode == 1
    assert "This is a bug in raytrain" in broken.stderr
    assert "Traceback" not in broken.stderr


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    lives.write_log(tmp_path / lives.RUN, lives.whole_life(epochs=2000))
    metrics = [*PROGRAM, "metrics", str(tmp_path / lives.RUN)]
    with subprocess.Popen(metrics, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(10) == 141


@pytest.mark.parametrize("arguments", [["list", "--json"], ["--version"], ["metrics", "RUN"]])
def test_an_output_that_is_full_is_no_bug(arguments: list[str], tmp_path: Path) -> None:
    run = tmp_path / lives.RUN
    lives.write_log(run, lives.whole_life())
    with Path("/dev/full").open("w") as full:
        command = [*PROGRAM, *(str(run) if argument == "RUN" else argument for argument in arguments)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "bug" not in done.stderr
    assert not [*tmp_path.rglob("crash-*")]


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED"])
def test_closed_streams_change_no_exit_code(tmp_path: Path, closed: str, status: str) -> None:
    """As in `raytrain wait RUN 2>&- && deploy`."""
    lives.write_log(
        tmp_path / lives.RUN, [*lives.beginning(), *lives.ending(status, "user_code", Failure(kind="", message="no"))]
    )

    command = shlex.join([*PROGRAM, "wait", str(tmp_path / lives.RUN)])
    done = subprocess.run(["sh", "-c", f"{command} {closed}"], capture_output=True, text=True, check=False)

    assert done.returncode == {"SUCCEEDED": 0, "FAILED": 10}[status]
    assert (status in done.stdout) == (closed == "2>&-")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"), [("--version", 0), ("status nope --address 127.0.0.1:9", 5), ("sumbit", 2)]
)
def test_without_stderr_errors_have_their_exit_codes(arguments: str, code: int) -> None:
    command = f"{shlex.join(PROGRAM)} {arguments} 2>&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)

    assert done.returncode == code
    assert "error" not in done.stdout


def on_a_terminal(arguments: list[str], **environment: str) -> tuple[int, str]:
    """Runs a command with stdin, stdout and stderr on a terminal; its exit code and all that it wrote there."""
    ours, theirs = pty.openpty()
    settings = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"} | environment
    with subprocess.Popen(arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=settings) as process:
        os.close(theirs)
        text = read_until(ours, lambda text: False)
        code = process.wait(10)
    os.close(ours)
    return code, text


def test_a_terminal_gets_one_live_table(job: Path) -> None:
    with stand_in_cluster(Life(events=lives.whole_life(epochs=3), pause_s=0.15)) as cluster:
        code, text = on_a_terminal(submit(job, cluster))

    assert code == 0
    assert "\x1b[2K" in text and "\x1b[?25h" in text  # lines are redrawn, and the cursor is back
    assert re.search("starting the workers|importing TensorFlow|building the model|running the first", text)
    assert "best val_loss" in text
    assert "SUCCEEDED" in text
    assert "epoch 1/3 loss=" not in text


def test_no_color_on_a_terminal(job: Path) -> None:
    with stand_in_cluster(Life(pause_s=0.1)) as cluster:
        _, text = on_a_terminal(submit(job, cluster), NO_COLOR="1")

    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", text)


def test_a_dumb_terminal_gets_plain_lines(job: Path) -> None:
    with stand_in_cluster() as cluster:
        _, text = on_a_terminal(submit(job, cluster), TERM="dumb")

    assert "\x1b" not in text
    assert "epoch 3/3 loss=" in text


def test_an_error_panel_on_a_terminal_has_no_traceback(job: Path) -> None:
    code, text = on_a_terminal([*PROGRAM, "validate", str(job), "--set", "fit.epochs=\x1b]0;title\x07"])

    assert code in (2, 3)
    assert "╭" in text and "Traceback" not in text
    assert "\x1b]0;" not in text


def test_forced_colours_do_not_reach_a_pipe(job: Path) -> None:
    with stand_in_cluster() as cluster:
        settings = os.environ | {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "GITHUB_ACTIONS": "true"}
        done = subprocess.run(submit(job, cluster, "--json"), env=settings, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout)["status"] == "SUCCEEDED"
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", done.stdout + done.stderr)
