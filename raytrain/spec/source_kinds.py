"""The kinds of source that rows come from."""

from __future__ import annotations

import warnings
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from raytrain.spec.csv_source import CsvSource
from raytrain.spec.pydantic_bases import OneOf, StrictModel, custom_error
from raytrain.spec.value_types import PythonRef

Scalar = bool | int | float | str | None
Cell = Scalar | list[Any]
Paths = str | list[str]
ImageSize = Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]
ImageMode = Literal["RGB", "RGBA", "L", "P", "I;16", "I", "F"]
Resample = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]

SklearnName = Literal["digits", "iris", "wine", "breast_cancer", "diabetes", "linnerud"]


def check_resample(mode: str | None, resample: str | None) -> None:
    """Refuses a mean of classes: between palette indices nothing lies."""
    if mode == "P" and resample not in (None, "nearest"):
        got = f"{resample} for mode: P"
        raise custom_error("nearest, as indices of a palette have no mean", got=got, field="resample")


class ImageTable(OneOf):
    """A table in which a column holds the paths of images: exactly one kind."""

    csv: Paths | CsvSource | None = Field(
        None, description="a path, glob or a list of them; or a map, as in data.train"
    )
    parquet: Paths | None = Field(None, description="a path, folder, glob or a list of them")


class ImagesSource(StrictModel):
    """Images in one folder per class, or named by a column of a table."""

    path: Paths | None = Field(None, description="a folder with one folder of images per class, glob or a list of them")
    table: ImageTable | None = Field(None, description="{csv: …} or {parquet: …} whose rows name the images")
    column: str = Field("path", description="the table's column of paths")
    folder: str = Field(".", description="where the table's relative paths start")
    size: ImageSize | None = Field(None, description="[height, width] that every image is scaled to")
    mode: ImageMode | None = Field(None, description="RGB (the default), RGBA, L (grey), P, I;16, I or F, as Pillow's")
    resample: Resample | None = Field(None, description="how images are scaled; bilinear if left out")
    exif_transpose: bool = Field(False, description="true turns images as their EXIF data says")
    classes: list[str] | None = Field(None, description="a list of the class folders in their labels' order")

    @model_validator(mode="after")
    def _path_or_table(self) -> Self:
        if (self.path is None) == (self.table is None):
            raise custom_error("one of path and table", got="none" if self.path is None else "both")
        if self.table is not None and self.size is None:
            raise custom_error("a size beside table, such as size: [64, 64]", got="none")
        if self.resample is not None and self.size is None:
            raise custom_error("size beside resample", got="none", field="resample")
        check_resample(self.mode, self.resample)
        if self.classes is not None and len(set(self.classes)) < len(self.classes):
            raise custom_error("each class once", got=", ".join(self.classes), field="classes")
        return self


class SqlSource(StrictModel):
    """The rows of a query."""

    query: str = Field(description="SELECT …")
    connect: PythonRef = Field(description="a function that returns a DB-API 2 connection")
    params: list[Scalar] | dict[str, Scalar] | None = Field(None, description="a list or map for the placeholders")


class DeltaSource(StrictModel):
    """A Delta Lake table."""

    path: str = Field(description="the table's folder or URI")
    version: int | None = Field(None, ge=0, description="of the table; the latest by default")


class IcebergSource(StrictModel):
    """An Apache Iceberg table."""

    table: str = Field(description="namespace.table")
    catalog: dict[str, str] = Field(default_factory=dict, description="PyIceberg's properties: name, type, uri, …")
    where: str | None = Field(None, description="row filter, such as age > 18")
    snapshot: int | None = Field(None, description="snapshot id; the current one by default")


class LanceSource(StrictModel):
    """A Lance dataset."""

    path: str = Field(description="the dataset's folder or URI")
    version: int | None = Field(None, ge=1, description="of the dataset; the latest by default")


class HuggingFaceSource(StrictModel):
    """A dataset of the Hugging Face Hub, or a folder that `save_to_disk` wrote."""

    path: str = Field(description="the dataset's name on the Hub, a folder, or a format such as csv beside data_files")
    name: str | None = Field(None, description="the dataset's configuration")
    split: str = Field("train", description="such as train, test or train[:80%]")
    revision: str | None = Field(None, description="branch, tag or commit")
    data_files: Paths | None = Field(None, description="a path, glob or a list of them")


with warnings.catch_warnings():
    # `json` is a deprecated method of pydantic's models, and the word that users know for JSON lines.
    warnings.filterwarnings("ignore", message='Field name "json"')

    class Source(OneOf):
        """Where rows come from: exactly one kind."""

        sklearn: SklearnName | None = Field(None, description="a set that comes with scikit-learn")
        csv: Paths | CsvSource | None = Field(
            None, description="a path, folder, glob or a list of them; or a map with path, separator, decimal, …"
        )
        parquet: Paths | None = Field(None, description="a path, folder, glob or a list of them")
        json: Paths | None = Field(None, description="JSON lines: a path, folder, glob or a list of them")  # type: ignore[assignment]
        numpy: Paths | Annotated[dict[str, str], Field(min_length=1)] | None = Field(
            None, description=".npy (column `data`) or .npz (a column per array), or {column: file.npy}"
        )
        images: Paths | ImagesSource | None = Field(
            None, description="a folder with one folder of images per class; or a map with path or table, size, …"
        )
        tfrecords: Paths | None = Field(None, description="a path, folder, glob or a list of them; of tf.train.Example")
        text: Paths | None = Field(None, description="a path, folder, glob or a list of them; a row a line, `text`")
        arrays: str | None = Field(None, description="a folder or URI that raytrain.fit has written: `x`, `y` and `w`")
        inline: list[dict[str, Cell]] | dict[str, list[Cell]] | None = Field(
            None, description="rows, or columns of equal length, in the spec itself", min_length=1
        )
        python: PythonRef | None = Field(None, description="function that returns the rows")
        sql: SqlSource | None = Field(None, description="{query: SELECT …, connect: data.py:connect}")
        delta: str | DeltaSource | None = Field(None, description="a Delta Lake table's folder or URI, or a map")
        iceberg: IcebergSource | None = Field(None, description="{table: namespace.table, catalog: {…}}")
        lance: str | LanceSource | None = Field(None, description="a Lance dataset's folder or URI, or a map")
        huggingface: str | HuggingFaceSource | None = Field(None, description="a dataset's name on the Hub, or a map")

        @model_validator(mode="after")
        def _equal_columns(self) -> Self:
            if isinstance(self.inline, dict):
                lengths = {len(column) for column in self.inline.values()}
                if len(lengths) > 1:
                    raise custom_error("inline columns of one length", got=f"lengths {sorted(lengths)}", field="inline")
            return self

        @property
        def details(self) -> Any:
            """The kind's long form, where it has one: of `images: pictures`, ImagesSource(path="pictures")."""
            long = _LONG_FORMS.get(self.kind)
            return (
                self.value
                if long is None or isinstance(self.value, StrictModel)
                else long.model_validate({"path": self.value})
            )

        @property
        def paths(self) -> Any:
            """What names the files of a kind that is read from files: a path or several, or {column: file.npy}."""
            return getattr(self.details, "path", self.value)

        @property
        def code(self) -> str | None:
            """The user's function that the rows come from."""
            return self.sql.connect if self.sql else self.python


_LONG_FORMS: dict[str, type[StrictModel]] = {
    "csv": CsvSource,
    "images": ImagesSource,
    "delta": DeltaSource,
    "lance": LanceSource,
    "huggingface": HuggingFaceSource,
}
