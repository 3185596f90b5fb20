"""Which tests are run how often: a plugin of the suite.

- quick: no worker processes and no cluster; `make test-unit` runs these alone.
- everyday: the quick ones first, then each capability once on real workers and on a real cluster; `make test`.
- thorough: what says the same of one more case, source, job, fault or number of workers; `make test-all`.

A test is thorough where it is marked so or lets faults happen (tests/chaos); of several cases of a test that trains,
all but the first and those marked `everyday`.
"""

from __future__ import annotations

import pytest

_START_PROCESSES = {"pools", "ray_cluster", "cli", "crew", "start_nodes"}
_TRAIN = {"pools", "cli", "crew"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "thorough: says the same of one more case, for `make test-all`")
    config.addinivalue_line("markers", "everyday: a case of its own, for `make test`")
    config.addinivalue_line("markers", "processes: starts workers or a cluster; set by the fixtures that a test uses")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    seen: set[str] = set()
    for item in items:
        if _START_PROCESSES & _fixtures(item):
            item.add_marker("processes")
        test, is_everyday = item.nodeid.split("[")[0], item.get_closest_marker("everyday") is not None
        is_one_more = test in seen and not is_everyday
        if "chaos" in item.path.parts or (is_one_more and _TRAIN & _fixtures(item)):
            item.add_marker("thorough")
        seen.add(test)
    items.sort(key=_turn)


def _fixtures(item: pytest.Item) -> set[str]:
    return set(getattr(item, "fixturenames", ()))


def _turn(item: pytest.Item) -> int:
    """The quick ones first, so that what is broken is seen within seconds; then those that share processes together."""
    if item.get_closest_marker("processes") is None:
        return 0
    return next((turn for turn, name in enumerate(("ray_cluster", "cli"), start=2) if name in _fixtures(item)), 1)
