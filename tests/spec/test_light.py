"""The spec is light: a job is loaded and checked without anything that takes seconds to import."""

import json
import subprocess
import sys
from pathlib import Path

from tests.spec.conftest import Write

HEAVY = ("ray", "tensorflow", "keras", "numpy", "pandas", "pyarrow", "sklearn")
MODULES = sorted(file.stem for file in Path(__file__).parents[2].glob("raytrain/spec/[!_]*.py"))

_RUN = """
import importlib, json, sys
for module in sys.argv[2:]:
    importlib.import_module("raytrain.spec." + module)
from raytrain.spec.checks import check_job
from raytrain.spec.load import load_job
check_job(load_job(sys.argv[1], overrides=["fit.epochs=2"]))
print(json.dumps([name for name in sys.modules if "." not in name]))
"""


def test_importing_all_of_it_and_checking_a_job_loads_nothing_heavy(write_job: Write) -> None:
    folder = write_job(
        "model: model.py:build_model\ndata: {train: {csv: t.csv}, validation: {sklearn: iris}, label: target}\n",
        t__csv="features,target\n1,2\n",
    )
    asked = subprocess.run(
        [sys.executable, "-c", _RUN, str(folder), *MODULES], capture_output=True, text=True, check=False
    )
    assert asked.returncode == 0, asked.stderr
    loaded = json.loads(asked.stdout)
    assert "yaml" in loaded
    assert [name for name in HEAVY if name in loaded] == []
    assert len(MODULES) > 15
