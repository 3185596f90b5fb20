"""The same values give the same answer, or the same refusal, in every container that can hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raytrain.data.columns.logical_columns import join_tables
from raytrain.data.splits import make_splitter, read_key
from raytrain.errors import UserCodeError
from tests.data.preprocess.tables import features, job

Make = Callable[[list[Any]], Any]


def of(kind: pa.DataType, change: Callable[[Any], Any] = lambda value: value) -> Make:
    return lambda values: pa.array([None if value is None else change(value) for value in values], kind)


def in_dictionary(make: Make) -> Make:
    return lambda values: make(values).dictionary_encode()


def in_runs(make: Make) -> Make:
    return lambda values: pc.run_end_encode(make(values))


def in_dictionary_with_null(make: Make) -> Make:
    """Empty cells that point at a null among the dictionary's values, as some writers have them."""

    def made(values: list[Any]) -> Any:
        there = list(dict.fromkeys(values))
        return pa.DictionaryArray.from_arrays(
            pa.array([there.index(value) for value in values], pa.int32()), make(there)
        )

    return made


def bool8(values: list[Any]) -> Any:
    return pa.ExtensionArray.from_storage(pa.bool8(), of(pa.int8(), int)(values))


def list_of(inner: pa.DataType, size: int) -> dict[str, Make]:
    """Every layout of lists; those of one size where all lists have it."""
    kinds = [pa.list_(inner), pa.large_list(inner), pa.list_view(inner), pa.large_list_view(inner)]
    made = {str(kind): of(kind) for kind in kinds}
    named = pa.list_(pa.field("element", inner))  # as Spark names it
    return made | {"element": of(named), "fixed": of(pa.list_(inner, size))}


TEXTS = [pa.string(), pa.large_string(), pa.string_view()]
WHOLE = [getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)]
FRACTIONS = [pa.float16(), pa.float32(), pa.float64(), pa.decimal128(6, 2), pa.decimal256(9, 3)]
if hasattr(pa, "decimal32"):
    FRACTIONS += [pa.decimal32(6, 2), pa.decimal64(9, 3)]
SIZE = 3
QUICK = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


def decimal(value: Any) -> Any:
    return Decimal(str(value))


def number(kind: pa.DataType) -> Make:
    return of(kind, decimal if pa.types.is_decimal(kind) else np.float16 if kind == pa.float16() else float)


CONTAINERS: dict[str, dict[str, Make]] = {
    "bool": {
        "bool": of(pa.bool_()),
        "bool8": bool8,
        "runs": in_runs(of(pa.bool_())),
        "dictionary": in_dictionary(of(pa.bool_())),
    },
    "whole": {
        **{str(kind): of(kind) for kind in WHOLE},
        **{str(kind): of(kind, decimal) for kind in (pa.decimal128(5, 0), pa.decimal256(40, 0))},
        "dictionary": in_dictionary(of(pa.int16())),
        "dictionary with null": in_dictionary_with_null(of(pa.int64())),
        "runs": in_runs(of(pa.uint8())),
    },
    "fractions": {
        **{str(kind): number(kind) for kind in FRACTIONS},
        "dictionary": in_dictionary(of(pa.float32())),
        "runs": in_runs(of(pa.float64())),
        "NaN": lambda values: pa.array([np.nan if value is None else value for value in values], pa.float64()),
    },
    "cents": {
        "float64": of(pa.float64()),
        **{str(kind): of(kind, decimal) for kind in FRACTIONS if pa.types.is_decimal(kind)},
        "dictionary": in_dictionary(of(pa.float64())),
        "dictionary of decimals": in_dictionary(of(pa.decimal128(6, 2), decimal)),
    },
    "text": {
        **{str(kind): of(kind) for kind in TEXTS},
        **{f"dictionary of {kind}": in_dictionary(of(kind)) for kind in TEXTS},
        "dictionary with null": in_dictionary_with_null(of(pa.string())),
        "runs": in_runs(of(pa.large_string())),
        "blanks": lambda values: pa.array(["" if value is None else value for value in values]),
    },
    "lists of numbers": {
        key: make for kind in (pa.int8(), pa.int64(), pa.uint16()) for key, make in list_of(kind, SIZE).items()
    },
    "lists of text": {key: make for kind in TEXTS for key, make in list_of(kind, SIZE).items()},
}
CELLS: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "whole": st.integers(0, 100),
    "fractions": st.integers(-400, 400).map(lambda quarters: quarters / 4),
    "cents": st.integers(-9999, 9999).map(lambda cents: cents / 100),
    "text": st.sampled_from(["a", "b", "ä b", "10", "2"]),
    "lists of numbers": st.lists(st.integers(0, 9), min_size=SIZE, max_size=SIZE),
    "lists of text": st.lists(st.sampled_from(["a", "b", "c"]), min_size=SIZE, max_size=SIZE),
}
X = {"columns": ["x"]}
TWICE: list[dict[str, Any]] = [{"scale": X | {"by": 0.1}}, {"standardize": X}]
STEPS: list[dict[str, Any]] = [
    {},
    {"impute": X},
    {"impute": X | {"strategy": "most_frequent"}},
    {"encode": X},
    {"encode": X | {"unseen": 9}},
    {"one_hot": X},
    {"one_hot": X | {"classes": 101}},
    {"multi_hot": X},
    {"standardize": X},
    {"min_max": X},
    {"scale": X | {"by": 0.1}},
    {"bucket": X | {"bins": 3}},
    {"tokenize": X},
    {"count": X},
    {"hash": X | {"features": 3}},
]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"allow_nan": True},
    *({"fill": value} for value in (True, False, 0, -1, 300, 0.1, 1e30, "", "none")),
    *({"dtype": dtype} for dtype in ("float16", "float32", "float64", "int8", "int64", "uint8")),
    {"fill": -1, "dtype": "int32"},
    {"fill": 0.1, "dtype": "float64"},
    {"pad": SIZE},
    {"pad": SIZE + 1, "pad_value": -1},
    {"pad": SIZE - 1, "truncate": True},
    {"pad": SIZE, "fill": 7},
    {"timestamp": "days"},
]
FILLS = {kind: "" if "text" in kind else -1 for kind in CONTAINERS}
SPLITS: list[dict[str, Any]] = [
    {"validation": 0.4, "group": "x"},
    {"validation": 0.4, "stratify": "x"},
    *({"validation": {"where": {"x": value}}} for value in ("a", 1, True, 0.25, [2, "10"], [0.3, 1.1])),
]


def cut(column: Any, random: Random) -> pa.Table:
    """The rows as a slice, with an offset, of chunks of their own."""
    rows = len(column)
    at = sorted(random.randint(0, rows) for _ in range(random.randint(0, 2)))
    bounds = list(zip([0, *at], [*at, rows], strict=True))
    chunks = [pa.concat_arrays([column.slice(start, stop - start)]) for start, stop in bounds]
    try:
        before = pa.concat_arrays([column.slice(0, 1), chunks[0]])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.table({"x": pa.chunked_array(chunks, column.type)})
    return pa.table({"x": pa.chunked_array([before, *chunks[1:]], column.type)}).slice(1)


def answer(get: Callable[[], Any]) -> Any:
    """What comes out, to the last bit, or where it is refused; anything else that is raised is a traceback."""
    try:
        array = np.asarray(get())
    except UserCodeError as error:
        return "refused", [problem.field for problem in error.problems]
    return array.dtype, array.shape, array.tolist() if array.dtype == object else array.tobytes()


def answers(kind: str, values: list[Any], get: Callable[[pa.Table], Any], seed: int) -> Iterator[tuple[str, Any]]:
    for name, make in CONTAINERS[kind].items():
        yield name, answer(partial(get, cut(make(values), Random(f"{seed} {name}"))))


def differing(found: Iterator[tuple[str, Any]]) -> dict[str, Any]:
    (first, expected), *others = found
    return {f"{name} beside {first}": (said, expected) for name, said in others if said != expected}


ROWS = {kind: st.lists(st.none() | cell, min_size=1, max_size=6) for kind, cell in CELLS.items()}
FULL = {kind: st.lists(cell, min_size=4, max_size=8) for kind, cell in CELLS.items()}
SEEDS = st.integers(0, 999)


def swept(kind: str, values: list[Any], step: dict[str, Any], options: dict[str, Any], seed: int) -> None:
    steps = TWICE if step == TWICE[0] else [step] if step else []
    spec = job(*steps, columns={"x": options} if options else {})
    assert differing(answers(kind, values, partial(features, spec), seed)) == {}


def drawn(kind: str) -> st.SearchStrategy[Any]:
    parts = (st.just(kind), ROWS[kind] | FULL[kind], st.sampled_from(STEPS), st.sampled_from(OPTIONS), SEEDS)
    return st.tuples(*parts)


@pytest.mark.parametrize("kind", CONTAINERS)
@QUICK
@given(data=st.data())
def test_the_same_values_reach_the_model_from_every_container(kind: str, data: Any) -> None:
    swept(*data.draw(drawn(kind)))


@pytest.mark.thorough
@settings(QUICK, max_examples=1200)
@given(drawn=st.one_of([drawn(kind) for kind in CONTAINERS]))
def test_ten_thousand_tables_give_no_two_answers(drawn: Any) -> None:
    swept(*drawn)


@pytest.mark.parametrize("kind", [kind for kind in CONTAINERS if "lists" not in kind])
@QUICK
@given(data=st.data())
def test_rows_are_split_alike_by_every_container(kind: str, data: Any) -> None:
    values, split, seed = data.draw(FULL[kind]), data.draw(st.sampled_from(SPLITS)), data.draw(SEEDS)
    spec = job(**split, features="y")

    def marks(table: pa.Table) -> Any:
        return make_splitter(spec, table.num_rows, read_key(table, spec.data)).of(0, table.num_rows)

    assert differing(answers(kind, values, marks, seed)) == {}


@pytest.mark.parametrize("kind", CONTAINERS)
@QUICK
@given(data=st.data())
def test_files_of_several_containers_make_one_column(kind: str, data: Any) -> None:
    parts = [data.draw(ROWS[kind]), data.draw(ROWS[kind])]
    first, *more = data.draw(st.permutations(list(CONTAINERS[kind])))

    def together(name: str) -> Any:
        made = [CONTAINERS[kind][each](values) for each, values in zip((first, name), parts, strict=True)]
        options = {"fill": FILLS[kind]} | ({"dtype": "float64"} if kind == "cents" else {})
        return features(job(columns={"x": options}), join_tables([pa.table({"x": one}) for one in made]))

    assert differing((name, answer(partial(together, name))) for name in (first, *more)) == {}


CENTS = [cents / 100 for cents in range(-9999, 9999, 7)]


@pytest.mark.parametrize("container", CONTAINERS["cents"])
def test_a_decimal_is_the_fraction_nearest_to_it(container: str) -> None:
    table = pa.table({"x": CONTAINERS["cents"][container](CENTS)})
    assert features(job(columns={"x": {"dtype": "float64"}}), table).tolist() == CENTS


@pytest.mark.parametrize("container", [name for name in CONTAINERS["fractions"] if "runs" not in name])
def test_what_steps_compute_is_rounded_once_at_the_end(container: str) -> None:
    values = [quarters / 4 for quarters in range(-400, 400, 7)]
    table = pa.table({"x": CONTAINERS["fractions"][container](values)})
    expected = features(job(*TWICE), pa.table({"x": pa.array(values, pa.float64())}))
    np.testing.assert_array_equal(features(job(*TWICE), table), expected)
