"""Puts something in the place of what an object or a class of the user's has.

Runs in: every Train worker.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Function = Callable[..., Any]

_MENDED = "_raytrain_mended"


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """The object itself has this attribute until the block ends."""
    had, before = name in vars(owner), getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if had:
            setattr(owner, name, before)
        else:
            delattr(owner, name)


def mending_classes(method: str, mend: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """Makes a wrapper for a base class' `__init__`: every class of the user's that an object is made of has its own
    `method` mended, once.
    """

    def wrap(init: Function) -> Function:
        @functools.wraps(init)
        def mend_then_init(self: Any, *args: Any, **kwargs: Any) -> None:
            for kind in type(self).__mro__:
                own = vars(kind).get(method)
                if own is not None and kind.__module__.split(".")[0] != "keras" and not hasattr(own, _MENDED):
                    mended = mend(own)
                    setattr(mended, _MENDED, True)
                    setattr(kind, method, mended)
            init(self, *args, **kwargs)

        return mend_then_init

    return wrap


def is_of_keras(function: Any) -> bool:
    """Whether Keras wrote it, rather than somebody who wrapped what Keras wrote."""
    module = getattr(function, "__globals__", {}).get("__name__") or type(function).__module__
    return str(module).split(".")[0] == "keras"
