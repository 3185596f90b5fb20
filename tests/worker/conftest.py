from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.worker.pool import WorkerPool

Pools = Callable[[int], WorkerPool]


@pytest.fixture(scope="session")
def pools() -> Iterator[Pools]:
    """`pools(n)`: n processes that train together, started when first asked for; `pools(0)`: plain Keras."""
    started: dict[int, WorkerPool] = {}

    def pool(workers: int) -> WorkerPool:
        if workers not in started:
            started[workers] = WorkerPool(workers)
        return started[workers]

    yield pool
    for each in started.values():
        each.close()
