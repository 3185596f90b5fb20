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
from PIL import Image

from raytrain.data.columns.pixels import PixelForm
from raytrain.errors import Problem, UserCodeError
from raytrain.spec.column_options import ColumnSpec
from raytrain.spec.peek.image_folders import CHANNELS

_RAGGED_TENSORS = "ray.data.arrow_variable_shaped_tensor"


def is_images(kind: pa.DataType) -> bool:
    """Whether the cells may be images: bytes, as Hugging Face has them beside their path too, or pixels of any size."""
    if types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(types.is_large_binary(kind) or _is_ragged_tensor(kind))


def decode_images(flat: Any, name: str, options: ColumnSpec, *, is_mask: bool = False) -> npt.NDArray[Any]:
    """The images in the size and mode that the spec names, (rows, height, width, channels).

    Args:
        is_mask: whether the pixels are classes: of a label, and of no feature.

    Raises:
        UserCodeError: a cell is empty or no image, or one that the mode does not hold.
    """
    assert options.size is not None
    height, width = options.size
    form = PixelForm(
        size=(height, width),
        mode=options.mode,
        resample=options.resample,
        exif_transpose=options.exif_transpose,
        is_mask=is_mask,
    )
    images = np.empty((len(flat), height, width, CHANNELS[form.mode_name]), form.dtype)
    for row, cell in enumerate(_cells(flat, name)):
        try:
            images[row] = form.read(_opened(cell))
        except (OSError, ValueError, TypeError, Image.DecompressionBombError) as error:
            raise _no_image(name, row, error) from error
    return images


def check_same_sizes(images: Any, masks: Any, name: str, mask: str) -> None:
    """Refuses rows of columns `name` and `mask` whose image and mask are of different sizes as they are stored.

    Raises:
        UserCodeError: there is such a row, or a cell is no image.
    """
    paths = masks.field("path") if types.is_struct(masks.type) and masks.type.get_field_index("path") >= 0 else None
    for row, cells in enumerate(zip(_cells(images, name), _cells(masks, mask), strict=True)):
        try:
            (wide, high), found = (_opened(cell).size for cell in cells)
        except (OSError, ValueError, TypeError, Image.DecompressionBombError) as error:
            raise _no_image(f"{name}` or `{mask}", row, error) from error
        if found != (wide, high):
            raise UserCodeError(
                Problem(
                    field=f"data.columns.{mask}.size",
                    file=str(paths[row].as_py() or "") if paths is not None else "",
                    got=f"a mask of {found[1]}x{found[0]} pixels (height x width) in row {row} of a block of `{mask}`",
                    expected=f"{high}x{wide}, as its image in column `{name}`",
                    fix="make a mask for each image in its own size",
                )
            )


def _cells(flat: Any, name: str) -> Any:
    if types.is_struct(flat.type) and is_images(flat.type):
        flat = flat.field("bytes")
    if types.is_large_binary(flat.type):
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


def _opened(cell: Any) -> Any:
    if isinstance(cell, bytes):
        return Image.open(io.BytesIO(cell))
    pixels = np.asarray(cell)
    if pixels.dtype.kind in "iu" and pixels.dtype not in (np.uint8, np.uint16):
        pixels = pixels.astype(np.int32)
    return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels)


def _is_ragged_tensor(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.BaseExtensionType) and kind.extension_name.startswith(_RAGGED_TENSORS)


def _no_image(name: str, row: int, error: Exception) -> UserCodeError:
    return UserCodeError(
        Problem(
            field=f"data.columns.{name}.size",
            got=f"a cell of column `{name}` that is no image as asked for (row {row} of its block): "
            f"{str(error).partition(' <')[0].partition('; expected ')[0]}",
            expected=str(error).partition("; expected ")[2] or "an image in every row",
        )
    )
