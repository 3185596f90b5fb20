from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from raytrain.data.columns.image_cells import decode_images
from raytrain.errors import UserCodeError
from raytrain.spec.column_options import ColumnSpec


def decoded(pixels: Any, mode: str, form: str) -> Any:
    file = io.BytesIO()
    Image.fromarray(np.array(pixels)).save(file, form)
    told = ColumnSpec.model_validate({"size": [1, len(pixels[0])], "mode": mode})
    return decode_images(pa.array([file.getvalue()]), "c", told)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_grey_of_16_bits_keeps_its_upper_eight(mode: str, form: str) -> None:
    pixels = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    assert decoded(pixels, mode, form)[0, 0, :, 0].tolist() == [0, 0, 1, 128, 255]


@pytest.mark.parametrize("pixels", [np.array([[0, 256]], np.int32), np.array([[0, 0.5]], np.float32)])
def test_pixels_of_32_bits_of_which_nothing_tells_what_is_white_are_refused(pixels: Any) -> None:
    with pytest.raises(UserCodeError, match=r"pixels of 32 bits from 0 to .*, expected 8 or 16 bits"):
        decoded(pixels, "L", "TIFF")
    assert decoded(np.array([[0, 255]], np.int32), "L", "TIFF")[0, 0, :, 0].tolist() == [0, 255]
