"""Tables of databases, table formats and the Hugging Face Hub, through Ray Data's readers.

Runs in: the driver, and the Ray Data tasks it starts. The packages are extras: `pip install raytrain[delta]`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray.data

from raytrain.data.sources.listing import full_path
from raytrain.data.sources.user_rows import load_portable
from raytrain.errors import Problem, UserCodeError
from raytrain.spec.file_errors import reason_of
from raytrain.spec.source_kinds import Source, SqlSource
from raytrain.user_code import check_takes


def query_rows(spec: SqlSource, folder: Path) -> ray.data.Dataset:
    """The rows of a query, in the order in which the database gave them.

    They are asked for once, and then kept in Ray's object store: without ORDER BY a database may give them in another
    order each time, and the splits would overlap.

    Raises:
        UserCodeError: the function that connects is not there, or takes arguments.
    """
    connect = load_portable(spec.connect, folder)
    check_takes(connect, spec.connect)
    return ray.data.read_sql(spec.query, connect, sql_params=spec.params, override_num_blocks=1).materialize()


def lake_rows(source: Source, folder: Path, field: str) -> Any:
    """The rows of a table that is no list of files: a Ray Dataset, or the table itself.

    Raises:
        UserCodeError: the table is not there, or the kind's package is not installed on the cluster.
    """
    package, distribution, read = _LAKES[source.kind]
    if importlib.util.find_spec(package) is None:
        got, fix = f"no package {distribution} on the cluster", f"environment: {{pip: [{distribution}]}}"
        raise UserCodeError(Problem(field=field, got=got, expected=f"raytrain[{source.kind}] on every node", fix=fix))
    try:
        return read(source.details, folder)
    except Exception as error:  # each package has errors of its own
        problem = Problem(field=field, got=reason_of(error), expected=f"{source.kind} data that exists")
        raise UserCodeError(problem) from error


def _delta(spec: Any, folder: Path) -> ray.data.Dataset:
    return ray.data.read_delta(full_path(spec.path, folder), version=spec.version)


def _iceberg(spec: Any, folder: Path) -> ray.data.Dataset:
    from pyiceberg.expressions import parser

    return ray.data.read_iceberg(
        table_identifier=spec.table,
        row_filter=parser.parse(spec.where) if spec.where else None,  # Ray hands on text that PyIceberg refuses
        snapshot_id=spec.snapshot,
        catalog_kwargs=dict(spec.catalog) or None,
    )


def _lance(spec: Any, folder: Path) -> ray.data.Dataset:
    return ray.data.read_lance(full_path(spec.path, folder), version=spec.version)


def _huggingface(spec: Any, folder: Path) -> Any:
    """As a table, which is what `ray.data.from_huggingface` makes after it has looked for the same name on the Hub."""
    import datasets

    place = Path(full_path(spec.path, folder))
    if (place / "state.json").is_file():
        return _table(datasets.load_from_disk(str(place)))
    if (place / "dataset_dict.json").is_file():
        return _table(datasets.load_from_disk(str(place))[spec.split])
    files = [spec.data_files] if isinstance(spec.data_files, str) else spec.data_files
    loaded = datasets.load_dataset(
        str(place) if place.is_dir() else spec.path,
        spec.name,
        split=spec.split,
        revision=spec.revision,
        data_files=files and [full_path(file, folder) for file in files],
    )
    return _table(loaded)


def _table(dataset: Any) -> Any:
    """The rows of a Hugging Face dataset, with what was selected or shuffled applied."""
    return dataset.with_format("arrow")[:]


# For each kind the package to import, what to install for it, and how it is read.
_LAKES: dict[str, tuple[str, str, Callable[[Any, Path], Any]]] = {
    "delta": ("deltalake", "deltalake", _delta),
    "iceberg": ("pyiceberg", "pyiceberg", _iceberg),
    "lance": ("lance", "pylance", _lance),
    "huggingface": ("datasets", "datasets", _huggingface),
}
