"""How a run was submitted, as its directory keeps it."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import Any

from raytrain.run.run_paths import RunPaths
from raytrain.spec.request import JobRequest


@dataclass(frozen=True, kw_only=True)
class JobFiles:
    """`spec.json` and `request.json`; empty, or None, where one cannot be read."""

    spec: dict[str, Any] = field(default_factory=dict)
    request: JobRequest | None = None

    @classmethod
    def of(cls, paths: RunPaths | None) -> JobFiles:
        """What can be read of it; a later version's request may be of another form."""
        if paths is None:
            return cls()
        spec: Any = {}
        request: JobRequest | None = None
        with contextlib.suppress(OSError, ValueError):
            spec = json.loads(paths.spec.read_text(encoding="utf-8"))
        with contextlib.suppress(OSError, ValueError):
            request = JobRequest.model_validate_json(paths.request.read_text(encoding="utf-8"))
        return cls(spec=spec if isinstance(spec, dict) else {}, request=request)
