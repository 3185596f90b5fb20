"""An image file opened with Pillow, and its size. LIGHT: Pillow is imported when an image is opened."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from raytrain.errors import Problem, SpecError
from raytrain.spec.file_errors import reading

if TYPE_CHECKING:
    from PIL.Image import Image

_ORIENTATION = 0x0112  # EXIF's tag; from 5 on, rows are columns


@contextlib.contextmanager
def opened_image(stream: BinaryIO, shown: str) -> Iterator[Image]:
    """An image, yet to be decoded; what is none, or shows to be damaged as it is decoded within, is a SpecError."""
    from PIL import Image, UnidentifiedImageError

    with reading(shown, "an image that can be read", Image.DecompressionBombError):
        try:
            with Image.open(stream) as image:
                yield image
        except UnidentifiedImageError:
            raise ValueError("no image") from None


def image_size(stream: BinaryIO, shown: str, *, exif_transpose: bool = False) -> tuple[int, int]:
    """Height and width, turned as its EXIF data says where that is asked for; what is no image is a SpecError."""
    with opened_image(stream, shown) as image:
        on_its_side = exif_transpose and image.getexif().get(_ORIENTATION, 1) >= 5
        return (image.width, image.height) if on_its_side else (image.height, image.width)


def check_size(found: tuple[int, int], expected: tuple[int, int], shown: str) -> None:
    """Refuses an image of another size (height, width) than the source's first."""
    if found != expected:
        got = f"an image of {found[0]}x{found[1]} pixels (height x width)"
        wanted = f"{expected[0]}x{expected[1]}, as the source's first image"
        fix = "give the images a size: {path: …, size: [height, width]}"
        raise SpecError(Problem(got=got, expected=wanted, fix=fix, file=shown))
