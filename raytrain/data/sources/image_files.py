"""Decodes images: files in one folder per class, or files that a table's column names.

Runs in: Ray Data tasks; names are listed, and the first image's size is read, in the driver.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from raytrain.data.columns.pixels import PixelForm
from raytrain.data.sources.file_reading import read_head
from raytrain.data.sources.listing import Listing, full_path, list_files
from raytrain.data.sources.memory_tables import arrow_column
from raytrain.errors import Problem, UserCodeError
from raytrain.file_systems import is_uri, open_filesystem
from raytrain.spec.peek.image_folders import class_of, classes_of, pixel_bytes
from raytrain.spec.peek.image_header import check_size, image_size, opened_image
from raytrain.spec.source_kinds import ImagesSource, Source

_IMAGES_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """From a file to its pixels (height, width, channels).

    Attributes:
        size: height and width; images of another size are scaled to it, or refused where `form` has none.
    """

    size: tuple[int, int]
    form: PixelForm

    def read(self, filesystem: Any, path: str) -> Any:
        return read_head(self._decode, filesystem, path, "images")

    def _decode(self, stream: BinaryIO, path: str) -> Any:
        with opened_image(stream, path) as image:
            pixels = self.form.read(image)
        check_size(pixels.shape[:2], self.size, path)
        return pixels

    @property
    def bytes(self) -> int:
        return self.size[0] * self.size[1] * pixel_bytes(self.form.mode_name)


def _form_of(source: ImagesSource) -> PixelForm:
    return PixelForm(
        size=(source.size[0], source.size[1]) if source.size else None,
        mode=source.mode,
        resample=source.resample,
        exif_transpose=source.exif_transpose,
    )


@dataclass(frozen=True, kw_only=True)
class DecodeImage:
    """One row a file: image, label, class, path; label and class where the folders are classes."""

    pixels: ImageFile
    classes: tuple[str, ...] | None
    roots: tuple[str, ...]

    def __call__(self, filesystem: Any, path: str) -> Iterator[pa.Table]:
        columns = {"image": arrow_column(self.pixels.read(filesystem, path)[None])}
        if self.classes is not None:
            name = class_of(path, self.roots)
            columns["label"] = pa.array([self.classes.index(str(name))], pa.int64())
            columns["class"] = pa.array([name], pa.string())
        yield pa.table(columns | {"path": pa.array([path], pa.string())})


class ImageTable(Datasource):  # type: ignore[misc]  # Ray's classes are untyped
    """A table's rows with the images that one of its columns names, in the column `image`."""

    def __init__(self, table: pa.Table, source: ImagesSource, folder: Path) -> None:
        super().__init__()
        assert source.size is not None
        self._filesystem, path = open_filesystem(full_path(source.folder, folder))
        self._root = path.rstrip("/")
        self._table, self._column = table, source.column
        self._pixels = ImageFile(size=(source.size[0], source.size[1]), form=_form_of(source))

    def estimate_inmemory_data_size(self) -> int:
        return int(self._table.num_rows * self._pixels.bytes)

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        step = max(1, -(-self._table.num_rows // max(parallelism, 1)))
        tasks = []
        for start in range(0, self._table.num_rows, step):
            rows = self._table.slice(start, step)
            size = rows.num_rows * self._pixels.bytes
            metadata = BlockMetadata(num_rows=rows.num_rows, size_bytes=size, input_files=None, exec_stats=None)
            tasks.append(ReadTask(partial(self._read, rows), metadata, per_task_row_limit=per_task_row_limit))
        return tasks

    def _read(self, rows: pa.Table) -> Iterator[pa.Table]:
        for start in range(0, rows.num_rows, _IMAGES_AT_ONCE):
            some = rows.slice(start, _IMAGES_AT_ONCE)
            paths = [self._path(str(name)) for name in some.column(self._column).to_pylist()]
            images = np.stack([self._pixels.read(self._filesystem, path) for path in paths])
            yield some.append_column("image", arrow_column(images))

    def _path(self, name: str) -> str:
        return open_filesystem(name)[1] if is_uri(name) or name.startswith("/") else f"{self._root}/{name}"


def decoder_of_folders(source: ImagesSource, listing: Listing, folder: Path) -> DecodeImage:
    """How the listed images are read; their classes are checked and, without a size, the first image's is taken.

    Raises:
        SpecError: an image outside the classes, or a first image that cannot be read.
    """
    assert source.path is not None
    roots = _roots(source.path, folder)
    classes = classes_of(listing.paths, roots, source.classes)
    read_size = partial(image_size, exif_transpose=source.exif_transpose)
    size = source.size or read_head(read_size, listing.filesystem, listing.paths[0], "images")
    pixels = ImageFile(size=(size[0], size[1]), form=_form_of(source))
    return DecodeImage(pixels=pixels, classes=None if classes is None else tuple(classes), roots=tuple(roots))


def images_of_table(table: pa.Table, source: ImagesSource, folder: Path, field: str) -> ImageTable:
    """The images that a table names, yet to be read.

    Raises:
        UserCodeError: the table has no such column.
    """
    if source.column not in table.column_names:
        got, expected = f"no column `{source.column}`", f"one of {', '.join(table.column_names)}"
        raise UserCodeError(Problem(field=field, got=got, expected=expected))
    return ImageTable(table, source, folder)


def number_classes_alike(sources: dict[str, Source], folder: Path) -> dict[str, Source]:
    """The sources, those of images with the classes of `train`, so that a label means the same class in each of them.

    Args:
        sources: `train`, and `validation` and `test` where they have their own.
        folder: the job's own folder.
    """
    train = sources["train"]
    if train.images is None or train.details.path is None:
        return sources
    paths = train.details.path
    listing = list_files(paths, folder, kind="images", field="data.train.images")
    classes = classes_of(listing.paths, _roots(paths, folder), train.details.classes)
    return {part: _with_classes(source, classes, part) for part, source in sources.items()}


def _with_classes(source: Source, classes: Sequence[str] | None, part: str) -> Source:
    if classes is None or source.images is None or source.details.path is None:
        return source
    own = source.details.classes
    if own is not None and own != list(classes)[: len(own)]:
        fix = "leave classes out: a split has those of train"
        raise UserCodeError(
            Problem(
                field=f"data.{part}.images.classes",
                got=", ".join(own),
                expected=f"{', '.join(classes)}, in the order of train",
                fix=fix,
            )
        )
    return Source(images=source.details.model_copy(update={"classes": list(classes)}))


def _roots(names: str | list[str], folder: Path) -> list[str]:
    """The folders that a source names, as the file system knows them."""
    given = [names] if isinstance(names, str) else names
    return [open_filesystem(full_path(name, folder))[1].rstrip("/") for name in given]
