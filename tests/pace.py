"""How long the suite takes, in units that days and machines share: `make pace`, or `python -m tests.pace test-unit`.

A unit is one `import tensorflow, keras`, timed before and after each target, since a machine's speed changes by the
hour.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from time import monotonic

ROOT = Path(__file__).parents[1]
MOST_UNITS = {"test-unit": 20, "test": 90, "test-all": 300}


def main() -> int:
    targets = sys.argv[1:] or list(MOST_UNITS)
    lines, failed = [f"{'':12}{'seconds':>9}{'units':>7}{'bar':>6}"], False
    for target in targets:
        before = seconds_of_an_import()
        seconds, passed = timed(["make", target])
        units = seconds / ((before + seconds_of_an_import()) / 2)
        lines.append(f"{target:12}{seconds:9.0f}{units:7.1f}{MOST_UNITS[target]:6}{'' if passed else '  failed'}")
        failed |= not passed or units > MOST_UNITS[target]
    print("\n".join(lines))  # noqa: T201  what it is for
    return int(failed)


def seconds_of_an_import() -> float:
    """The quicker of two, the first of which may have to fetch the files from the disk."""
    return min(timed([sys.executable, "-c", "import tensorflow, keras"], quiet=True)[0] for _ in range(2))


def timed(command: list[str], *, quiet: bool = False) -> tuple[float, bool]:
    began = monotonic()
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.DEVNULL if quiet else None, check=False)
    return monotonic() - began, done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
