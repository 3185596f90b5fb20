"""Has Keras import scikit-learn when its wrappers for it are first asked for, instead of whenever Keras is imported.

Runs in: every process that trains, evaluates or predicts. No training needs the wrappers (`keras.wrappers`), and a
fifth of what Keras and TensorFlow take to import is scikit-learn with SciPy. Whoever uses them finds them as they are.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_WRAPPERS = ("keras.wrappers", "keras._tf_keras.keras.wrappers")


class _Deferring(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _WRAPPERS:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


def defer_sklearn() -> None:
    """To be called before Keras is imported; later it changes nothing."""
    if not any(isinstance(finder, _Deferring) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Deferring())
