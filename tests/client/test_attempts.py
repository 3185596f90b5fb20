from __future__ import annotations

import errno

import pytest

from raytrain.client import attempts
from raytrain.client.registry import RunRecord
from raytrain.errors import StateUnknown, UsageError
from raytrain.run.lease import Lease
from raytrain.run.run_paths import RunPaths


@pytest.mark.parametrize("answer", [True, False, OSError(errno.EIO, "Input/output error")])
def test_only_a_driver_that_is_known_to_be_gone_has_a_next_attempt(
    answer: bool | OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(paths: RunPaths, lease: Lease, *, renewals: float) -> bool:
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(attempts, "wait_until_over", wait)
    record, lease = RunRecord(run="digits-1", storage="/runs"), Lease(attempt=2, host="node-7")
    if answer is True:
        attempts._refuse_living_driver(record, lease)
    elif answer is False:
        with pytest.raises(UsageError, match="the driver of attempt 2 on node-7 renews its lease"):
            attempts._refuse_living_driver(record, lease)
    else:
        with pytest.raises(StateUnknown, match=r"/runs, which does not say .* attempt 2 lives: .*Input/output error"):
            attempts._refuse_living_driver(record, lease)
