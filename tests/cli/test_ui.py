"""`raytrain ui` as a process: it prints its address, answers, and ends with Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.cli import lives


@pytest.mark.parametrize("json_wanted", [False, True])
def test_it_answers_until_it_is_interrupted(tmp_path: Path, json_wanted: bool) -> None:
    lives.write_log(tmp_path / lives.RUN, lives.whole_life())
    command = [sys.executable, "-m", "raytrain", "ui", "--storage", str(tmp_path), *["--json"] * json_wanted]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ) as server:
        assert server.stdout is not None
        try:
            printed = server.stdout.readline()
            while json_wanted and not printed.rstrip().endswith("\n}"):
                printed += server.stdout.readline()
            url = json.loads(printed)["url"] if json_wanted else printed.strip()
            keep = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(), urllib.request.ProxyHandler({}))
            with keep.open(url, timeout=60) as answer:
                assert lives.RUN in answer.read().decode()
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(30) == 130


def test_a_storage_that_is_none(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "raytrain", "ui", "--storage", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 5
