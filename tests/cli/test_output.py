"""What is printed: where, and free of what could take a terminal over."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytrain import formatting
from raytrain.clean_text import clean
from raytrain.cli.output import Output
from raytrain.client.display.terminal import is_terminal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, tab\tand\nnewline", "plain, tab\tand\nnewline"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[Hgone", "gone"),
        ("\x1b]0;new title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "red"),
        ("\x9d0;title\x9ctext", "text"),
        ("\x1b(Bcharset", "charset"),
        ("carriage\rreturn", "carriagereturn"),
        ("two\r\nlines", "two\nlines"),
        ("bell\x07, backspace\x08, delete\x7f, null\x00", "bell, backspace, delete, null"),
        ("\u202eturned around\u202c", "turned around"),
        ("[link=http://evil]markup[/link] stays text", "[link=http://evil]markup[/link] stays text"),
        ("naïve 数字 ✓", "naïve 数字 ✓"),
        ("\x1b]0;never closed", ""),
        ("\x1b", ""),
    ],
)
def test_clean(text: str, expected: str) -> None:
    assert clean(text) == expected


@given(st.text(alphabet=st.characters(max_codepoint=0x2070)))
def test_clean_leaves_no_control_character(text: str) -> None:
    assert not [char for char in clean(text) if (ord(char) < 32 and char not in "\t\n") or 127 <= ord(char) < 160]


@given(st.dictionaries(st.text(), st.text()))
def test_json_is_one_object_in_plain_ascii(value: dict[str, str]) -> None:
    stdout = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", stdout)
        Output(json=True).result_json(value)

    assert json.loads(stdout.getvalue()) == value
    assert all(32 <= ord(char) < 127 or char == "\n" for char in stdout.getvalue())


def test_results_and_words_go_to_different_streams(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output()
    out.result("a result")
    out.say("a word")
    out.warn("a warning")

    assert capsys.readouterr() == ("a result\n", "a word\na warning\n")


def test_quiet_leaves_results_and_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(quiet=True)
    out.result("a result")
    out.say("a word")
    out.warn("a warning")

    assert capsys.readouterr() == ("a result\n", "a warning\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_dumb_terminal_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert is_terminal(Terminal())
    assert not is_terminal(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not is_terminal(Terminal())


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.12341, "0.1234"), (0.0, "0.0000"), (1.2345e-5, "1.234e-05"), (2.5e7, "2.500e+07"), (None, "nan")],
)
def test_metric(value: float | None, expected: str) -> None:
    assert formatting.metric(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.412, "0.41s"), (37.61, "37.6s"), (250.0, "4m10s"), (7500.0, "2h05m"), (None, "-")],
)
def test_seconds(value: float | None, expected: str) -> None:
    assert formatting.seconds(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(312, "312 B"), (4300, "4.2 KiB"), (1.4e6, "1.3 MiB"), (5e10, "46.6 GiB")]
)
def test_size(value: float, expected: str) -> None:
    assert formatting.size(value) == expected


def test_plural() -> None:
    assert [formatting.plural(count, "epoch") for count in (0, 1, 2)] == ["0 epochs", "1 epoch", "2 epochs"]
