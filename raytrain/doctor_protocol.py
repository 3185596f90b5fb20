"""What `raytrain doctor` is told by its job on the cluster, a line of the job's log each.

Light: the client imports it, too.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

MODULE = "raytrain.driver.cluster_probe"
# In the job's environment: the storage to try, as JSON.
REQUEST = "DOCTOR_REQUEST"
_MARK = "raytrain-doctor: "
State = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: what, in a word or two.
        state: "ok", "warn", "fail", or "skip" where there was nothing to look at.
        says: what was found.
        fix: what to do about it; empty where it is ok.
    """

    check: str
    state: State
    says: str
    fix: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As `doctor --json` prints it."""
        return asdict(self)

    def to_line(self) -> str:
        """A line of the job's log."""
        return _MARK + json.dumps(asdict(self))


def finding_of(line: str) -> Finding | None:
    """The finding on a line of a job's log; None where the line is another."""
    try:
        return Finding(**json.loads(line.removeprefix(_MARK))) if line.startswith(_MARK) else None
    except (TypeError, ValueError):
        return None
