import pytest

from raytrain.spec.value_types import (
    check_name,
    check_python_ref,
    is_python_ref,
    parse_class_index,
    parse_duration_s,
    split_python_ref,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1h0m5s", 3605),
        ("1.5h", 5400),
        (90, 90),
        (0.5, 0.5),
    ],
)
def test_durations(text: object, seconds: object) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "5x", "m", "1m1h", "-5s", "1h 30m", "s", None, True, [5]])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="duration such as"):
        parse_duration_s(text)


@pytest.mark.parametrize("ref", ["model.py:build", "src/model.py:Model", "a b.py:_f1"])
def test_python_references(ref: str) -> None:
    assert check_python_ref(ref) == ref
    assert is_python_ref(ref)


@pytest.mark.parametrize(
    "ref", ["model:build", "model.py", "model.py:", "model.py:1f", "model.py:a.b", ":f", ".py:f", "x:model.py:f", 3]
)
def test_what_is_no_python_reference(ref: object) -> None:
    assert not is_python_ref(ref)
    with pytest.raises((ValueError, TypeError)):
        check_python_ref(ref)  # type: ignore[arg-type]


def test_a_reference_is_split_at_its_colon() -> None:
    assert split_python_ref("src/model.py:build") == ("src/model.py", "build")


@pytest.mark.parametrize("name", ["a", "digits", "my-job_2", "0a", "a" * 40])
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "A", "-a", "_a", "a b", "a/b", "..", "é", "a" * 41, "a\n"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 40"):
        check_name(name)


def test_json_keys_become_classes() -> None:
    assert [parse_class_index(key) for key in ("0", "12", 3, "a", "-1")] == [0, 12, 3, "a", "-1"]
