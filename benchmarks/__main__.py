"""Runs every benchmark, one after the other: `make bench`."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = (
    "command",
    "start_up",
    "listing",
    "planning",
    "pipelines",
    "edge",
    "fan_in",
    "training",
    "predicting",
    "after_training",
    "overlap",
    "proof",
)

if __name__ == "__main__":
    for name in BENCHMARKS:
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
