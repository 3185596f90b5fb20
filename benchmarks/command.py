"""How long the command itself takes to start, against `python -c "import typer"` measured in turns beside it.

Run by `make bench`. Prints medians and ratios of processor and wall time; it judges nothing.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).parents[1]
PROGRAM = str(Path(sys.executable).parent / "raytrain")
COMMANDS = {
    "import typer": [sys.executable, "-c", "import typer"],
    "raytrain --help": [PROGRAM, "--help"],
    "raytrain validate jobs/digits": [PROGRAM, "validate", "jobs/digits"],
}
TURNS = 15


def measure(arguments: list[str]) -> tuple[float, float]:
    """Processor and wall seconds of one run of a command."""
    began = perf_counter()
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with exit code {process.returncode}")
    return usage.ru_utime + usage.ru_stime, perf_counter() - began


def main() -> None:
    turns = [{name: measure(arguments) for name, arguments in COMMANDS.items()} for _ in range(TURNS)]
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, {TURNS} turns")  # noqa: T201
    print(f"{'':<32}{'cpu s':>8}{'ratio':>8}{'wall s':>8}{'ratio':>8}")  # noqa: T201
    for name in COMMANDS:
        cells = []
        for kind in (0, 1):
            seconds = statistics.median(turn[name][kind] for turn in turns)
            ratio = statistics.median(turn[name][kind] / turn["import typer"][kind] for turn in turns)
            cells.append(f"{seconds:>8.3f}{ratio:>8.2f}")
        print(f"{name:<32}{''.join(cells)}")  # noqa: T201


if __name__ == "__main__":
    main()
