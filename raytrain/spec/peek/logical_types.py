"""What a column's type says of its values, whichever of Arrow's layouts a writer has chosen for them.

Text is text, whether a writer has it as string, large_string, string_view or in a dictionary; the like holds for bytes,
and for lists but those of one fixed size. LIGHT: pyarrow is imported when a type is looked at.
"""

from __future__ import annotations

from typing import Any


def logical_type(kind: Any) -> Any:
    """The one `pyarrow.DataType` that stands for all layouts of the same values."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return logical_type(kind.value_type)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return pa.large_string()
    if types.is_binary(kind) or types.is_large_binary(kind) or _is_other_binary(kind):
        return pa.large_binary()
    if types.is_fixed_size_list(kind):
        return pa.list_(logical_type(kind.value_type), kind.list_size)
    if is_list(kind):
        return pa.large_list(logical_type(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([(field.name, logical_type(field.type)) for field in kind])
    if _is_extension(kind, "arrow.json"):
        return pa.large_string()
    return pa.bool_() if _is_extension(kind, "arrow.bool8") else kind


def common_type(one: Any, other: Any) -> Any:
    """The logical type of a column that is of `one` type in some files and of `other` in others; None where none fits.

    It holds every value of both: whole numbers beside fractions are fractions of 64 bits.
    """
    import pyarrow as pa
    from pyarrow import types

    one, other = logical_type(one), logical_type(other)
    if one == other or types.is_null(other):
        return one
    if types.is_null(one):
        return other
    pair = (one, other)
    if all(_is_number(kind) for kind in pair):
        return _common_number(one, other)
    if all(is_list(kind) or types.is_fixed_size_list(kind) for kind in pair):
        inner = common_type(one.value_type, other.value_type)
        return inner and pa.large_list(inner)
    try:
        schemas = [pa.schema([("column", kind)]) for kind in pair]
        return pa.unify_schemas(schemas, promote_options="permissive").field("column").type
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _common_number(one: Any, other: Any) -> Any:
    import pyarrow as pa
    from pyarrow import types

    pair = (one, other)
    if any(types.is_floating(kind) for kind in pair):
        return pa.float64()
    if any(types.is_decimal(kind) for kind in pair):
        return pa.decimal256(76, max(kind.scale if types.is_decimal(kind) else 0 for kind in pair))
    return pa.uint64() if all(types.is_unsigned_integer(kind) for kind in pair) else pa.int64()


def is_list(kind: Any) -> bool:
    """Whether a type is one of lists that may be of any length."""
    from pyarrow import types

    checks = ("is_list", "is_large_list", "is_list_view", "is_large_list_view")
    return any(check(kind) for name in checks if (check := getattr(types, name, None)))


def _is_other_binary(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_binary_view(kind) or types.is_fixed_size_binary(kind)) and not types.is_decimal(kind)


def _is_extension(kind: Any, name: str) -> bool:
    import pyarrow as pa

    return isinstance(kind, pa.BaseExtensionType) and kind.extension_name == name
