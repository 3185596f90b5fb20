"""The classes of a folder of images: which folder names stand for which label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from raytrain.errors import Problem, SpecError
from raytrain.spec.suggest import did_you_mean

CHANNELS = {"L": 1, "P": 1, "I;16": 1, "I": 1, "F": 1, "RGB": 3, "RGBA": 4}
WIDE_MODES = ("I;16", "I", "F")


def pixel_bytes(mode: str | None) -> int:
    """Bytes of a pixel of an image in a mode, RGB where none is named."""
    return CHANNELS[mode or "RGB"] * (4 if mode in WIDE_MODES else 1)


def class_of(path: str, roots: Sequence[str]) -> str | None:
    """The class of an image: its first folder below the source's, or the folder it lies in; None for one in the root.

    Args:
        path: of the image.
        roots: the folders that the source names.
    """
    image = PurePosixPath(path)
    for root in roots:
        if image.is_relative_to(root):
            below = image.relative_to(root).parts
            return below[0] if len(below) > 1 else None
    return image.parent.name


def classes_of(paths: Sequence[str], roots: Sequence[str], given: Sequence[str] | None) -> list[str] | None:
    """The classes in the order of their labels, sorted unless the spec gives them; None for images without classes.

    Raises:
        SpecError: an image outside every class, or of a class that the spec does not give.
    """
    named = {path: class_of(path, roots) for path in paths}
    found = {name for name in named.values() if name is not None}
    if not found and given is None:
        return None
    outside = next((path for path, name in named.items() if name is None), None)
    if outside is not None:
        raise SpecError(
            Problem(file=outside, got="an image outside the folders of the classes", expected="one folder per class")
        )
    classes = sorted(found) if given is None else list(given)
    unseen = next((path for path, name in named.items() if name not in classes), None)
    if unseen is not None:
        name = str(named[unseen])
        raise SpecError(
            Problem(
                file=unseen,
                got=f"the class `{name}`",
                expected=f"one of {', '.join(classes)}",
                fix=did_you_mean(name, classes),
            )
        )
    return classes
