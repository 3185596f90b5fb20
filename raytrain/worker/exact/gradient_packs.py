"""Which tensors travel together when they are summed over the workers, and in which order.

Runs in: every Train worker, while a step is traced.

Collectives of a step run one after the other, in the order in which they are traced. A backward pass comes to the last
layers' gradients first, so these go first, in a small pack, and may cross the network while others are worked out.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

FIRST_BYTES = 2**20
MORE_BYTES = 25 * 2**20


def packs(kinds: Sequence[Hashable], sizes: Sequence[int | None]) -> Iterator[list[int]]:
    """Indices of tensors that travel together, from the last tensor to the first; the same on all workers.

    Args:
        kinds: each tensor's dtype; a pack is of one.
        sizes: in bytes; None where that is known only as the step runs, which such a tensor does alone.
    """
    open_packs: dict[Hashable, list[int]] = {}
    filled: dict[Hashable, int] = {}
    begun: set[Hashable] = set()
    for index in reversed(range(len(sizes))):
        kind, size = kinds[index], sizes[index]
        if size is None:
            yield [index]
            continue
        limit = MORE_BYTES if kind in begun else FIRST_BYTES
        if kind in open_packs and filled[kind] + size > limit:
            yield open_packs.pop(kind)
            begun.add(kind)
        open_packs.setdefault(kind, []).append(index)
        filled[kind] = size if len(open_packs[kind]) == 1 else filled[kind] + size
    yield from open_packs.values()
