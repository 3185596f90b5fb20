"""Whether the files of a source hold the same columns, of types that fit together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from raytrain.errors import Problem, SpecError

if TYPE_CHECKING:
    import pyarrow as pa


def unify_schemas(schemas: Sequence[pa.Schema], files: Sequence[str]) -> pa.Schema:
    """The one schema of all files, in which whole numbers beside fractions are fractions.

    Raises:
        SpecError: naming the first file whose columns or types do not fit the files before it.
    """
    import pyarrow as pa

    merged = schemas[0]
    for schema, file in zip(schemas, files, strict=True):
        if schema.equals(merged):
            continue
        check_same_columns(schema.names, file, merged.names, files[0])
        for field in schema:
            earlier = merged.field(field.name)
            if not _fit(earlier, field):
                got = f"{field.type} in column `{field.name}`"
                raise SpecError(Problem(file=file, got=got, expected=f"{earlier.type}, as in the files before it"))
        merged = pa.unify_schemas([merged, schema], promote_options="permissive")
    return merged


def check_same_columns(
    columns: Sequence[str], file: str, expected: Sequence[str], first: str, *, line: int = 0, more: bool = False
) -> None:
    """Refuses a file that lacks columns of the source's first file, or has others unless `more` are allowed.

    Raises:
        SpecError: naming the file.
    """
    surplus = set() if more else set(columns) - set(expected)
    if surplus or not set(expected) <= set(columns):
        got = f"the columns {', '.join(columns) or 'of no name'}"
        raise SpecError(Problem(got=got, expected=f"{', '.join(expected)}, as in {first}", file=file, line=line))


def _fit(one: pa.Field, other: pa.Field) -> bool:
    import pyarrow as pa

    try:
        pa.unify_schemas([pa.schema([one]), pa.schema([other])], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return False
    return True
