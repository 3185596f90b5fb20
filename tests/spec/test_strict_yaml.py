import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytrain.errors import Problem, SpecError
from raytrain.spec.strict_yaml import MAX_BYTES, parse_scalar, read_yaml

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("aé ~:#-'", max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("aé ~:#-'", max_size=20), inner, max_size=4),
    max_leaves=20,
)


def problem_of(text: str | bytes) -> Problem:
    with pytest.raises(SpecError) as caught:
        read_yaml(text, "job.yaml")
    return caught.value.problems[-1]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("1e-3", 0.001), ("1E5", 1e5), (".5", 0.5), ("1.", 1.0), ("-1.5e+2", -150.0)],
        *[("012", 12), ("0x1F", 31), ("0o17", 15), ("+3", 3), ("-0", 0)],
        *[("true", True), ("FALSE", False), ("no", "no"), ("on", "on"), ("yes", "yes"), ("y", "y")],
        *[("null", None), ("~", None), ("", None), ("Null", None), ("none", "none")],
        *[("1:30", "1:30"), ("2026-01-01", "2026-01-01"), ("1_000", "1_000"), ("0b1", "0b1"), ("1e", "1e"), (".", ".")],
        *[(".inf", math.inf), ("-.INF", -math.inf), ("inf", "inf"), ("nan", "nan")],
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    read = parse_scalar(text)
    assert read == value
    assert type(read) is type(value)


def test_not_a_number_is_read() -> None:
    assert math.isnan(parse_scalar(".NaN"))


def test_quoted_and_block_scalars_are_strings() -> None:
    assert read_yaml("a: '1'\nb: \"true\"\nc: |\n  5\n", "f").data == {"a": "1", "b": "true", "c": "5\n"}


@given(JSON)
def test_json_is_read_as_json(value: Any) -> None:
    if value is not None:
        assert read_yaml(json.dumps(value, ensure_ascii=False), "f").data == value


def test_whole_numbers_are_kept_as_keys() -> None:
    assert read_yaml("class_weight: {0: 1.0, 1: 2.5}", "f").data == {"class_weight": {0: 1.0, 1: 2.5}}


def test_places_of_keys_items_and_what_is_missing() -> None:
    lines = read_yaml("a: 1\nb:\n  c:\n    - x\n    - {d: 2}\n", "job.yaml").lines
    assert lines.of("a") == ("job.yaml", 1)
    assert lines.of(("b", "c", 1, "d")) == ("job.yaml", 5)
    assert lines.line("b.c.0") == 4
    assert lines.line("b.missing") == 2
    assert lines.line("nowhere") == 1


def test_moved_places_hide_what_stood_below() -> None:
    lines = read_yaml("a:\n  b: 1\n", "job.yaml").lines
    lines.overridden(("a",), "--set a=1")
    assert lines.of("a.b") == ("--set a=1", 0)


def test_every_duplicate_is_told_with_both_lines() -> None:
    with pytest.raises(SpecError) as caught:
        read_yaml("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n", "job.yaml")
    assert [(p.field, p.line, p.got) for p in caught.value.problems] == [
        ("b.c", 4, "the key `c` twice, on lines 3 and 4"),
        ("a", 5, "the key `a` twice, on lines 1 and 5"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "got"),
    [
        ("", 0, "empty"),
        ("# only a comment\n", 0, "empty"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: 1\nb: !!python/object/apply:os.system [x]\n", 2, "!!python/object/apply:os.system"),
        ("a: !!int '3'", 1, "the tag !!int"),
        ("a: !mine x", 1, "the tag !mine"),
        ("a:\n\tb: 1\n", 2, "a tab"),
        ("a: 1\nb: [1,\n", 3, "expected"),
        ("a: b: c", 1, "mapping values"),
        ("a: 1\n  b: 2\n", 2, "mapping values"),
        ("true: 1", 1, "the key true"),
        ("1.5: 1", 1, "the key 1.5"),
        ("null: 1", 1, "the key null"),
        ("? [a]\n: 1", 1, "a map or list as a key"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", 3, "merge key"),
        ("a: *gone", 1, "undefined alias"),
        ("a: &x [*x]", 1, "never end"),
        ("[" * 5000, 1, "never end"),
        ("a: 1\nb: \x07", 2, "U+0007"),
        (b"a: 1\nb: \xff\n", 2, "0xff"),
        ("a: " + "9" * 5000, 1, "5000 digits"),
        ("a: 'x", 1, "unexpected end"),
    ],
)
def test_what_is_refused_names_its_line(text: str | bytes, line: int, got: str) -> None:
    problem = problem_of(text)
    assert got in problem.got
    assert (problem.file, problem.line) == ("job.yaml", line)


@pytest.mark.parametrize("text", ["a: *.csv", "a: @last", "a: `x`", "a: %x"])
def test_special_first_characters_ask_for_quotes(text: str) -> None:
    assert "in quotes" in problem_of(text).fix


def test_aliases_are_read_but_may_not_explode() -> None:
    assert read_yaml("a: &x [1, 2]\nb: *x\n", "f").data == {"a": [1, 2], "b": [1, 2]}
    bomb = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 9)
    )
    assert "unfold without end" in problem_of(bomb).got


def test_a_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    source = read_yaml("\ufeffa: 1\r\nb: 2\r\n".encode(), "f")
    assert source.data == {"a": 1, "b": 2}
    assert source.lines.line("b") == 2


def test_a_huge_file_is_refused_before_it_is_parsed() -> None:
    assert "csv or parquet" in problem_of("a" * (MAX_BYTES + 1)).fix


@pytest.mark.parametrize(
    ("text", "got"),
    [
        (r'a: "\U00110000"', "an escape that stands for no character"),
        (r'a: "\UFFFFFFFF"', "an escape that stands for no character"),
        (r'a: "\ud800"', "an escape that stands for half a character"),
    ],
)
def test_escapes_that_stand_for_nothing(text: str, got: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_yaml(f"b: 1\n{text}\n", "job.yaml")
    problem = caught.value.problems[0]
    assert (problem.got, problem.line) == (got, 2)


def test_two_escapes_of_json_are_one_character() -> None:
    assert read_yaml(json.dumps({"a": "\U0001f600"}), "job.yaml").data == {"a": "\U0001f600"}
