"""What a check's processes find in their environment, and what is read of how they end."""

from __future__ import annotations

from pathlib import Path

import raytrain
from raytrain.client.check_processes import child_environment, last_words, lines_in


def test_they_find_this_raytrain_the_jobs_variables_and_no_cluster() -> None:
    own = {"GREETING": "hello ${NAME}${NOBODY}", "PYTHONPATH": "/mine"}
    environ = {"RAY_ADDRESS": "auto", "TF_CONFIG": "{}", "NAME": "you", "CUDA_VISIBLE_DEVICES": "0"}
    made = child_environment(environ, own)
    assert made["GREETING"] == "hello you"
    assert made["PYTHONPATH"].split(":") == [str(Path(raytrain.__file__).parents[1]), "/mine"]
    assert made["CUDA_VISIBLE_DEVICES"] == "-1"
    assert not {"RAY_ADDRESS", "TF_CONFIG"} & set(made)


def test_last_words_are_those_of_the_users_code() -> None:
    output = (
        "I0000 00:00:1796039943.992690   32033 cudart_stub.cc:31] Could not find cuda drivers\n"
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
        "\nleaving\nFatal Python error: Aborted\n\nCurrent thread 0x1 (most recent call first):\n"
    )
    assert last_words(output) == "leaving"


def test_the_innermost_line_of_the_user_is_found_in_stacks() -> None:
    stacks = (
        "Thread 0x1 (most recent call first):\n"
        '  File "/usr/lib/python3.11/threading.py", line 331 in wait\n'
        '  File "/check/job/layers/own.py", line 4 in call\n'
        '  File "/check/job/model.py", line 12 in build_model\n'
    )
    assert list(lines_in(stacks, Path("/check/job"))) == [("layers/own.py", 4), ("model.py", 12)]
