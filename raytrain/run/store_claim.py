"""Claims an object in an object store: of all who try, at most one gets it, and exactly one if none of them dies.

There are two ways, and `claims_by` tries which of them a store has:

- A conditional put creates the object only where there is none. S3 has it (`If-None-Match: *`), GCS
  (`x-goog-if-generation-match: 0`), Azure (`If-None-Match: *`), and most of what speaks S3's protocol: MinIO, R2, Ceph.
- A marker that is read back, for all else: HDFS, servers that pass over the header, and what obstore cannot open: a
  store whose keys only a profile in `~/.aws` holds, a URI with options of pyarrow's own, any on a node without obstore.
  Each claimant writes a marker of its own name, then lists those of all. It gives up where there is one of a smaller
  name, waits where there are larger ones until these have given up or one of them has the object, and has won once it
  is alone.

What is assumed is that who reads or lists after a put was answered sees what was put, as in S3 (since December 2020),
GCS, Azure and HDFS. No clocks are compared and no pause is relied on: whoever wrote a marker second sees the first
one's, so two cannot both be alone. Those who come by different ways keep out of each other's as well: a marker's
owner looks at the object, and who has put the object at the markers, each after its own write.
"""

from __future__ import annotations

import contextlib
from time import sleep
from typing import Literal
from uuid import uuid4

from raytrain.run.object_store import ObjectStore

Way = Literal["conditional put", "marker"]

_PROBE = ".probe-conditional-put"
# A rival that still has not made up its mind by then has died, and nobody gets the object.
_LOOKS = 300
_LOOK_AGAIN_S = 0.1
_GIVEN_UP = ".given-up"


def claims_by(store: ObjectStore) -> Way:
    """Which way the store has, found by creating one object twice: only a conditional put refuses the second time."""
    with contextlib.suppress(OSError):
        if not (store.create(_PROBE, b"") and store.create(_PROBE, b"")):
            return "conditional put"
    return "marker"


def claim_object(store: ObjectStore, name: str, content: bytes) -> bool:
    """Writes the object `name` and keeps all others from doing so; False where another has done, or may have.

    Args:
        store: a folder.
        content: no other claimant's, so that it says who has the object.

    Raises:
        OSError: the store cannot be reached; who has the object cannot be told.
    """
    if claims_by(store) == "conditional put":
        with contextlib.suppress(OSError):  # it may have been written all the same, which is read below
            store.create(name, content)
    own, marked = f"{name}.claim-{uuid4().hex}", False
    for _ in range(_LOOKS):
        held = store.read(name)
        if held is None and not marked:
            store.write(own, b"")
            marked = True
            continue  # and look at the object again, now that the marker is seen
        if held not in (None, content):
            break
        rivals = _rivals(store, name, own)
        if not rivals:
            if held is None:
                store.write(name, content)
            return True
        if held is None and min(rivals) < own:
            break
        sleep(_LOOK_AGAIN_S)
    if marked:
        with contextlib.suppress(OSError):  # then the others wait for this one as for a dead one
            store.write(own + _GIVEN_UP, b"")
    return False


def _rivals(store: ObjectStore, name: str, own: str) -> list[str]:
    """The others' markers that count. One is given up by another put: a deletion may need a right of its own."""
    found = {entry for entry in store.names() if entry.startswith(f"{name}.claim-") and entry != own}
    return [entry for entry in found if not entry.endswith(_GIVEN_UP) and entry + _GIVEN_UP not in found]
