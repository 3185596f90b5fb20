"""Whether the files of a source hold the same columns, of types that fit together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from raytrain.errors import Problem, SpecError
from raytrain.spec.peek.logical_types import common_type

if TYPE_CHECKING:
    import pyarrow as pa


def unify_schemas(schemas: Sequence[pa.Schema], files: Sequence[str]) -> pa.Schema:
    """The one schema of all files, in which whole numbers beside fractions are fractions, and layouts do not count.

    Raises:
        SpecError: naming the first file whose columns or types do not fit the files before it.
    """
    import pyarrow as pa

    merged = schemas[0]
    for schema, file in zip(schemas, files, strict=True):
        if schema.equals(merged):
            continue
        check_same_columns(schema.names, file, merged.names, files[0])
        kinds = {field.name: common_type(field.type, schema.field(field.name).type) for field in merged}
        for name, kind in kinds.items():
            if kind is None:
                got = f"{schema.field(name).type} in column {schema.get_field_index(name) + 1}, `{name}`"
                expected = f"{merged.field(name).type}, as in the files before it"
                raise SpecError(Problem(file=file, got=got, expected=expected))
        merged = pa.schema(list(kinds.items()))
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
