"""Pixels of an image in a mode and size, as Pillow has them.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from raytrain.spec.peek.image_folders import CHANNELS, WIDE_MODES

_WIDE = {"I;16": ("L", "I"), "I": ("L", "I"), "F": ("L", "I", "F")}
_LIMITS = {"I;16": (0, 65535)}


@dataclass(frozen=True, kw_only=True)
class PixelForm:
    """What images are to become.

    Attributes:
        size: height and width; None leaves an image in its own.
        mode: Pillow's; None stands for RGB, and for the classes of a mask.
        resample: how images are scaled; None for bilinear, and for nearest in a mask.
        exif_transpose: whether an image is turned as its EXIF data says.
        is_mask: whether pixels are classes, which no mean may be taken of and no palette may colour.
    """

    size: tuple[int, int] | None
    mode: str | None = None
    resample: str | None = None
    exif_transpose: bool = False
    is_mask: bool = False

    @property
    def mode_name(self) -> str:
        return self.mode or ("P" if self.is_mask else "RGB")

    @property
    def dtype(self) -> npt.DTypeLike:
        """uint8; of the modes of more than 8 bits int32 and float32."""
        if self.mode_name == "F":
            return np.float32
        return np.int32 if self.mode_name in WIDE_MODES else np.uint8

    def read(self, image: Any) -> npt.NDArray[Any]:
        """The pixels (height, width, channels).

        Raises:
            ValueError: the mode cannot hold what the image has.
        """
        image = ImageOps.exif_transpose(image) if self.exif_transpose else image
        image = self._converted(image)
        if self.size is not None and (image.height, image.width) != self.size:
            image = image.resize(self.size[::-1], Image.Resampling[self._resampling])
        return np.asarray(image, self.dtype).reshape(image.height, image.width, CHANNELS[self.mode_name])

    @property
    def _resampling(self) -> str:
        return (self.resample or ("nearest" if self.is_mask or self.mode_name == "P" else "bilinear")).upper()

    def _converted(self, image: Any) -> Any:
        if self.mode_name == "P":
            return _classes(image)
        if self.is_mask and image.mode in ("P", "PA"):
            raise ValueError(f"a palette whose colours mode {self.mode} would take for the classes; expected mode: P")
        if self.mode_name in WIDE_MODES:
            return _values(image, self.mode_name)
        if image.mode.startswith("I;16") and self.mode is None:
            raise ValueError("16 bits a pixel, where RGB holds 8; expected mode: I;16, which keeps them, or mode: L")
        return _eight_bits(image).convert(self.mode_name)


def _classes(image: Any) -> Any:
    """The indices of a palette, the values of a grey image, or 0 and 1 of a black and white one."""
    if image.mode == "1":
        return Image.fromarray(np.asarray(image).astype(np.uint8))
    if image.mode not in ("P", "L"):
        fix = "mode: I;16" if image.mode.startswith("I") else "mode: RGB"
        raise ValueError(f"an image of mode {image.mode}, whose pixels are no indices of 8 bits; expected {fix}")
    return Image.fromarray(np.asarray(image))


def _values(image: Any, mode: str) -> Any:
    """The values that are stored, in an image of 32 bits: whole ones, or fractions for mode F."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray(np.asarray(image).astype(np.int32))
    if image.mode not in _WIDE[mode]:
        raise ValueError(f"an image of mode {image.mode}, which mode: {mode} does not hold")
    values = np.asarray(image)
    low, high = _LIMITS.get(mode, (values.min(initial=0), values.max(initial=0)))
    if values.min(initial=0) < low or values.max(initial=0) > high:
        raise ValueError(f"pixels from {values.min()} to {values.max()}, which mode: {mode} does not hold")
    return Image.fromarray(values.astype(np.float32 if mode == "F" else np.int32))


def _eight_bits(image: Any) -> Any:
    """The image with channels of 8 bits: of 16 bits the upper 8, as Pillow would make all above 255 white.

    Raises:
        ValueError: its pixels are fractions, or of 32 bits and not from 0 to 255: nothing tells what white is.
    """
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        low, high = image.getextrema()
        if image.mode == "F" or low < 0 or high > 255:
            raise ValueError(f"pixels of 32 bits from {low:g} to {high:g}, expected 8 or 16 bits")
    return image
