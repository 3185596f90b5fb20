"""Each case runs in a process of its own, whose standard output and error are pipes of ours: pytest has its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from time import perf_counter

import pytest

HEAD = """
import os, subprocess, sys, time
from pathlib import Path
from raytrain.run.copy_output import copy_output
log = Path(sys.argv[1])
"""


def run(body: str, log: Path) -> tuple[str, str, str]:
    """Standard output, standard error and the log of a program."""
    program = HEAD + textwrap.dedent(body)
    done = subprocess.run(
        [sys.executable, "-c", program, str(log)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr, log.read_text() if log.exists() else ""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "attempt-1" / "rank-0.log"


@pytest.mark.parametrize(
    ("write", "to"),
    [
        ("print('said')", "out"),
        ("print('said', file=sys.stderr)", "err"),
        ("os.write(1, b'said\\n')", "out"),
        ("os.write(2, b'said\\n')", "err"),
        ("subprocess.run(['echo', 'said'], check=True)", "out"),
        ("subprocess.run('echo said >&2', shell=True, check=True)", "err"),
        ("print('said', end='', flush=False); sys.stdout.write('\\n')", "out"),
    ],
)
def test_what_a_process_writes_is_copied_however_it_is_written(write: str, to: str, log: Path) -> None:
    out, err, copied = run(f"with copy_output(log):\n    {write}", log)
    assert copied == "said\n"
    assert (out, err) == (("said\n", "") if to == "out" else ("", "said\n"))


def test_only_the_block_is_copied_and_the_descriptors_are_given_back(log: Path) -> None:
    body = """
    before = [os.fstat(fd)[1] for fd in (1, 2)], len(os.listdir("/dev/fd"))
    print("before"); os.write(1, b"early\\n")
    with copy_output(log):
        print("within")
    print("after", flush=True)
    os.write(2, b"late\\n")
    assert ([os.fstat(fd)[1] for fd in (1, 2)], len(os.listdir("/dev/fd"))) == before
    """
    out, err, copied = run(body, log)
    assert sorted(out.split()) == ["after", "before", "early", "within"]
    assert err == "late\n"
    assert copied == "within\n"


def test_everything_is_copied_when_there_is_much_of_it(log: Path) -> None:
    body = """
    with copy_output(log):
        for number in range(200_000):
            print(number)
        os.write(2, b"x" * 3_000_000)
    """
    out, err, copied = run(body, log)
    numbers = "".join(f"{number}\n" for number in range(200_000))
    assert out == numbers
    assert err == "x" * 3_000_000
    assert len(copied) == len(out) + len(err)
    assert copied.replace("x", "") == numbers


def test_the_log_is_appended_to(log: Path) -> None:
    run("with copy_output(log): print('first')", log)
    _, _, copied = run("with copy_output(log): print('second')", log)
    assert copied == "first\nsecond\n"


def test_bytes_that_are_no_text_are_copied_as_they_are(log: Path) -> None:
    program = HEAD + "with copy_output(log): os.write(1, bytes(range(256)))"
    done = subprocess.run([sys.executable, "-c", program, str(log)], capture_output=True, timeout=60, check=True)
    assert done.stdout == log.read_bytes() == bytes(range(256))


def test_what_was_said_before_an_error_is_in_the_log(log: Path) -> None:
    body = """
    try:
        with copy_output(log):
            print("last words")
            raise KeyError("x")
    except KeyError:
        print("caught")
    """
    out, _, copied = run(body, log)
    assert (out, copied) == ("last words\ncaught\n", "last words\n")


def test_a_process_that_outlives_the_block_delays_it_a_moment_only_and_writes_to_no_file_opened_later(
    log: Path,
) -> None:
    """The thread that copies must not go on with descriptors that mean another file by then."""
    body = """
    import threading
    import raytrain.run.copy_output as logs
    logs._LAST_WORDS_S = 0.3
    with copy_output(log):
        child = subprocess.Popen("sleep 1.5; echo straggler", shell=True)
    files = [open(log.with_name(f"later-{n}"), "wb", buffering=0) for n in range(20)]
    child.wait()
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(10)
    assert all(os.fstat(file.fileno()).st_size == 0 for file in files)
    """
    began = perf_counter()
    out, _, copied = run(body, log)
    assert perf_counter() - began < 20
    assert (out, copied) == ("straggler\n", "straggler\n")


def test_a_reader_that_went_away_does_not_stop_the_process_or_its_log(log: Path) -> None:
    program = HEAD + "with copy_output(log):\n    for n in range(100_000): print(n)\nos._exit(0)"
    process = subprocess.Popen([sys.executable, "-c", program, str(log)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert log.read_text().splitlines()[-1] == "99999"


@pytest.mark.parametrize("harm", ["sys.stdout.close()", "sys.stdout = sys.stderr = None", "os.close(1)"])
def test_code_that_does_away_with_its_output_ends_as_it_would_have(harm: str, log: Path) -> None:
    _, _, copied = run(f"with copy_output(log):\n    print('said', flush=True)\n    {harm}\nos._exit(0)", log)
    assert copied == "said\n"
