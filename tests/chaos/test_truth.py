"""What the status said of every run that the other files brought to an end: row 18."""

from __future__ import annotations

import pytest

from tests.chaos.life import TRUTH
from tests.chaos.table import found


def test_the_status_was_true_all_along() -> None:
    if TRUTH.compared == 0:
        pytest.skip("nothing else was run")
    figure = f"{len(TRUTH.wrong)} of {TRUTH.compared} terminal states wrong {'; '.join(TRUTH.wrong[:3])}"
    found(18, figure, held=not TRUTH.wrong)
