"""Images in a table's own cells: files as bytes, or pixels of any size.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as types

from raytrain.errors import Problem, UserCodeError
from raytrain.spec.column_options import ColumnSpec
from raytrain.spec.peek.image_folders import CHANNELS

_RAGGED_TENSORS = "ray.data.arrow_variable_shaped_tensor"


def is_images(kind: pa.DataType) -> bool:
    """Whether the cells may be images: bytes, as Hugging Face has them beside their path too, or pixels of any size."""
    if types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or _is_ragged_tensor(kind))


def decode_images(flat: Any, name: str, options: ColumnSpec) -> npt.NDArray[np.uint8]:
    """The images in the size and mode that the spec names, uint8 (rows, height, width, channels).

    Raises:
        UserCodeError: a cell is empty or no image.
    """
    from PIL import Image

    assert options.size is not None
    height, width = options.size
    images = np.empty((len(flat), height, width, CHANNELS[options.mode]), np.uint8)
    for row, cell in enumerate(_cells(flat, name)):
        try:
            image = eight_bits(_opened(cell)).convert(options.mode)
        except (OSError, ValueError, TypeError, Image.DecompressionBombError) as error:
            raise _no_image(name, row, error) from error
        if (image.height, image.width) != (height, width):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        images[row] = np.asarray(image).reshape(height, width, -1)
    return images


def _cells(flat: Any, name: str) -> Any:
    if types.is_struct(flat.type) and is_images(flat.type):
        flat = flat.field("bytes")
    if types.is_binary(flat.type) or types.is_large_binary(flat.type):
        return (cell.as_py() for cell in flat)
    if hasattr(flat, "to_numpy_ndarray"):
        return flat.to_numpy_ndarray()
    if _is_ragged_tensor(flat.type):
        return flat.to_numpy(zero_copy_only=False)
    raise UserCodeError(
        Problem(
            field=f"data.columns.{name}.size",
            got=f"column `{name}` of type {flat.type}",
            expected="images: bytes of their files, or arrays of their pixels",
        )
    )


def eight_bits(image: Any) -> Any:
    """The image with channels of 8 bits: of 16 bits the upper 8, as Pillow would make all above 255 white.

    Raises:
        ValueError: its pixels are fractions, or of 32 bits and not from 0 to 255: nothing tells what white is.
    """
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        low, high = image.getextrema()
        if image.mode == "F" or low < 0 or high > 255:
            raise ValueError(f"pixels of 32 bits from {low:g} to {high:g}, expected 8 or 16 bits")
    return image


def _opened(cell: Any) -> Any:
    from PIL import Image

    if isinstance(cell, bytes):
        return Image.open(io.BytesIO(cell))
    pixels = np.asarray(cell)
    return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels)


def _is_ragged_tensor(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.BaseExtensionType) and kind.extension_name.startswith(_RAGGED_TENSORS)


def _no_image(name: str, row: int, error: Exception) -> UserCodeError:
    return UserCodeError(
        Problem(
            field=f"data.columns.{name}.size",
            got=f"a cell of column `{name}` that is no image (row {row} of its block): {str(error).partition(' <')[0]}",
            expected="an image in every row",
        )
    )
