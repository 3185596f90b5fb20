"""Images in cells, held against Pillow pixel by pixel."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageOps

from raytrain.data.columns.image_cells import decode_images
from raytrain.data.pipeline import Pipeline
from raytrain.errors import UserCodeError
from raytrain.spec.column_options import ColumnSpec
from tests.data.preprocess.tables import job

RANDOM = np.random.default_rng(7)
CLASSES = np.zeros((32, 32), np.uint8)
CLASSES[8:20, 8:24], CLASSES[:5] = 4, 2
PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128]


def file_of(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    image.save(file := io.BytesIO(), form, **options)
    return file.getvalue()


def palette_image() -> Image.Image:
    image = Image.fromarray(CLASSES)
    indexed = Image.frombytes("P", image.size, image.tobytes())
    indexed.putpalette(PALETTE)
    return indexed


def cells(*files: bytes, mask: bool = False, **options: Any) -> Any:
    return decode_images(pa.array(files, pa.large_binary()), "c", ColumnSpec(**options), is_mask=mask)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def decoded(pixels: Any, mode: Any, form: str) -> Any:
    return cells(file_of(Image.fromarray(np.array(pixels)), form), size=[1, len(pixels[0])], mode=mode)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_grey_of_16_bits_in_a_mode_of_8_keeps_its_upper_eight(mode: str, form: str) -> None:
    pixels = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    assert decoded(pixels, mode, form)[0, 0, :, 0].tolist() == [0, 0, 1, 128, 255]


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_grey_of_10_to_16_bits_keeps_its_values(form: str) -> None:
    pixels = np.array([[0, 1023, 4095, 65535]], np.uint16)
    for mode, dtype in (("I;16", np.int32), ("I", np.int32), ("F", np.float32)):
        found = decoded(pixels, mode, form)
        assert found.dtype == dtype
        assert found[0, 0, :, 0].tolist() == [0, 1023, 4095, 65535]
    with pytest.raises(UserCodeError, match=r"16 bits a pixel, where RGB holds 8.*mode: I;16"):
        decoded(pixels, None, form)


@pytest.mark.parametrize("pixels", [np.array([[0, 256]], np.int32), np.array([[0, 0.5]], np.float32)])
def test_pixels_of_32_bits_of_which_nothing_tells_what_is_white_are_refused(pixels: Any) -> None:
    with pytest.raises(UserCodeError, match=r"pixels of 32 bits from 0 to .*, expected 8 or 16 bits"):
        decoded(pixels, "L", "TIFF")
    assert decoded(np.array([[0, 255]], np.int32), "L", "TIFF")[0, 0, :, 0].tolist() == [0, 255]
    assert decoded(pixels, "F", "TIFF")[0, 0, :, 0].tolist() == pixels[0].tolist()


@pytest.mark.parametrize("resample", [None, "nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "I;16", "F"])
def test_features_are_converted_and_scaled_as_pillow_does(mode: Any, resample: Any) -> None:
    if mode in ("I;16", "F"):
        content = file_of(Image.fromarray(RANDOM.integers(0, 4096, (9, 7)).astype(np.uint16)))
        expected = opened(content).convert("I" if mode == "I;16" else "F")
    else:
        content = file_of(Image.fromarray(RANDOM.integers(0, 256, (9, 7, 4)).astype(np.uint8), "RGBA"))
        expected = opened(content).convert(mode)
    expected = expected.resize((5, 4), Image.Resampling[(resample or "bilinear").upper()])
    found = cells(content, size=[4, 5], mode=mode, resample=resample)
    np.testing.assert_array_equal(found[0].squeeze(), np.asarray(expected))


@pytest.mark.parametrize("stored", [Image.fromarray(CLASSES), palette_image()], ids=["L", "P"])
@pytest.mark.parametrize("mode", [None, "P"])
def test_masks_hold_the_classes_of_their_file_and_no_others(stored: Image.Image, mode: Any) -> None:
    found = cells(file_of(stored), mask=True, size=[16, 16], mode=mode)
    assert found.shape == (1, 16, 16, 1)
    expected = Image.fromarray(CLASSES).resize((16, 16), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(found[0, :, :, 0], np.asarray(expected))
    assert np.unique(found).tolist() == [0, 2, 4]


def test_masks_in_other_modes() -> None:
    black_and_white = Image.fromarray(CLASSES > 0)
    assert np.unique(cells(file_of(black_and_white), mask=True, size=[16, 16])).tolist() == [0, 1]
    instances = Image.fromarray(CLASSES.astype(np.uint16) * 1000)
    with pytest.raises(UserCodeError, match="no indices of 8 bits, expected mode: I;16"):
        cells(file_of(instances), mask=True, size=[16, 16])
    kept = cells(file_of(instances), mask=True, size=[16, 16], mode="I;16")
    assert np.unique(kept).tolist() == [0, 2000, 4000]
    with pytest.raises(UserCodeError, match="colours mode L would take for the classes, expected mode: P"):
        cells(file_of(palette_image()), mask=True, size=[16, 16], mode="L")
    coloured = file_of(palette_image().convert("RGB"))
    with pytest.raises(UserCodeError, match="no indices of 8 bits, expected mode: RGB"):
        cells(coloured, mask=True, size=[16, 16])
    colours = cells(coloured, mask=True, size=[16, 16], mode="RGB").reshape(-1, 3)
    assert {tuple(colour) for colour in colours.tolist()} == {(0, 0, 0), (0, 128, 0), (0, 0, 128)}


def test_exif_turns_an_image_where_it_is_asked_for() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = file_of(Image.fromarray(RANDOM.integers(0, 256, (4, 6, 3)).astype(np.uint8)), "PNG", exif=exif)
    np.testing.assert_array_equal(cells(content, size=[4, 6])[0], np.asarray(opened(content)))
    turned = np.asarray(ImageOps.exif_transpose(opened(content)))
    np.testing.assert_array_equal(cells(content, size=[6, 4], exif_transpose=True)[0], turned)


def test_a_column_that_only_labels_are_made_of_is_a_mask() -> None:
    image = file_of(Image.fromarray(RANDOM.integers(0, 256, (32, 32, 3)).astype(np.uint8)))
    table = pa.table({"image": [image], "mask": [file_of(palette_image())]})
    columns = {"image": {"size": [16, 16]}, "mask": {"size": [16, 16]}}
    spec = job(features="image", label="mask", columns=columns)
    features, labels = Pipeline(spec, Path()).apply(table)
    assert features.shape == (1, 16, 16, 3)
    assert np.unique(labels).tolist() == [0, 2, 4]
    both = Pipeline(job(features="image", label="image", columns={"image": {"size": [16, 16]}}), Path())
    np.testing.assert_array_equal(*both.apply(table))


@pytest.mark.parametrize("path", [None, "masks/7.png"])
def test_a_mask_of_another_size_than_its_image_is_refused(path: str | None) -> None:
    image = file_of(Image.new("RGB", (8, 6)))
    mask: Any = file_of(Image.new("L", (6, 8)))
    table = pa.table({"image": [image], "mask": [{"bytes": mask, "path": path} if path else mask]})
    spec = job(features="image", label="mask", columns={name: {"size": [4, 4]} for name in ("image", "mask")})
    with pytest.raises(UserCodeError) as refused:
        Pipeline(spec, Path()).apply(table)
    [problem] = refused.value.problems
    assert problem.got == "a mask of 8x6 pixels (height x width) in row 0 of a block of `mask`"
    assert (problem.expected, problem.file) == ("6x8, as its image in column `image`", path or "")
