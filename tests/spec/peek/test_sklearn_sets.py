"""The table against scikit-learn itself, in a process of its own: it is heavy, and nothing else here needs it."""

import importlib.util
import json
import subprocess
import sys
from typing import get_args

import pytest

from raytrain.spec.peek.sklearn_sets import SKLEARN_SETS
from raytrain.spec.source_kinds import SklearnName

_ASK = """
import json, sys
from sklearn import datasets
sets = {name: getattr(datasets, "load_" + name)() for name in sys.argv[1:]}
print(json.dumps({
    name: {
        "rows": len(found.data),
        "features": list(map(str, found.feature_names)),
        "targets": list(map(str, found.target_names)) if found.target.ndim == 2 else [],
    }
    for name, found in sets.items()
}))
"""


def test_the_table_has_every_name_of_the_schema() -> None:
    assert set(SKLEARN_SETS) == set(get_args(SklearnName))


@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="scikit-learn is not installed")
def test_the_table_is_what_scikit_learn_has() -> None:
    asked = subprocess.run([sys.executable, "-c", _ASK, *SKLEARN_SETS], capture_output=True, text=True, check=True)
    ours = {
        name: {"rows": known.rows, "features": list(known.features), "targets": list(known.targets)}
        for name, known in SKLEARN_SETS.items()
    }
    assert json.loads(asked.stdout) == ours


def test_column_names_are_unique() -> None:
    for known in SKLEARN_SETS.values():
        assert len(set(known.columns)) == len(known.columns)
        assert set(known.aliases.values()) <= {"features", "target"}
