"""Ray's own cloudpickle, which every cluster has, imported without what Ray says in a notebook that has no widgets.

Runs in: the process that calls `raytrain.fit`, and every Train worker.
"""

from __future__ import annotations

import logging
import warnings

_before = logging.root.manager.disable
logging.disable(logging.INFO)
try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray import cloudpickle as cloudpickle
finally:
    logging.disable(_before)
