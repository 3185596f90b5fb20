from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raytrain.errors import Failure, Problem, SpecError, UserCodeError
from raytrain.user_code import call_reference, describe_failure, load_reference


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What a case imports and puts on the path is gone after it."""
    path, modules, arguments = list(sys.path), dict(sys.modules), sys.argv
    yield
    sys.argv = arguments
    sys.path[:] = path
    for name in sys.modules.keys() - modules.keys():
        del sys.modules[name]


def write(folder: Path, **files: str) -> None:
    """`write(folder, model="…", src__model="…")` writes model.py and src/model.py."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))


def test_a_reference_is_what_the_file_defines(tmp_path: Path) -> None:
    write(tmp_path, model="ANSWER = 42\ndef build(): return ANSWER")
    assert load_reference("model.py:ANSWER", tmp_path) == 42
    assert load_reference("model.py:build", tmp_path)() == 42


def test_a_file_imports_its_neighbours_and_packages_of_the_folder(tmp_path: Path) -> None:
    write(
        tmp_path,
        model="from beside import ONE\nfrom inner.deep import TWO\nSUM = ONE + TWO",
        beside="ONE = 1",
        inner__deep="from beside import ONE\nTWO = ONE + 1",
    )
    assert load_reference("model.py:SUM", tmp_path) == 3


def test_a_file_that_parses_arguments_has_none_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path,
        model="""
        import argparse, sys
        parser = argparse.ArgumentParser()
        parser.add_argument("--units", type=int, default=7)
        UNITS = parser.parse_args().units
        def later():
            return parser.parse_args().units, sys.argv
        """,
    )
    monkeypatch.setattr(sys, "argv", ["worker.py", "--node-ip-address=127.0.0.1"])
    assert load_reference("model.py:UNITS", tmp_path) == 7
    assert call_reference("model.py:later", tmp_path) == (7, [str(tmp_path / "model.py")])


def test_a_file_runs_once_however_often_it_is_named(tmp_path: Path) -> None:
    write(tmp_path, model="STARTED = object()\nOTHER = 1", data="from model import STARTED")
    first = load_reference("model.py:STARTED", tmp_path)
    assert load_reference("model.py:STARTED", tmp_path) is first
    assert load_reference("data.py:STARTED", tmp_path) is first


def test_a_file_in_a_folder_runs_once_too(tmp_path: Path) -> None:
    write(tmp_path, src__model="STARTED = object()", data="from src.model import STARTED")
    first = load_reference("src/model.py:STARTED", tmp_path)
    assert load_reference("data.py:STARTED", tmp_path) is first


def test_files_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    write(tmp_path, a__model="NAME = 'a'", b__model="NAME = 'b'", model="NAME = 'top'")
    found = [
        load_reference(f"{file}:NAME", tmp_path) for file in ("a/model.py", "model.py", "b/model.py", "a/model.py")
    ]
    assert found == ["a", "top", "b", "a"]


def test_a_second_job_in_the_same_process_gets_its_own_file(tmp_path: Path) -> None:
    write(tmp_path / "one", model="NAME = 'one'")
    write(tmp_path / "two", model="NAME = 'two'")
    found = [load_reference("model.py:NAME", tmp_path / job) for job in ("one", "two", "one", "two")]
    assert found == ["one", "two", "one", "two"]


@pytest.mark.parametrize("name", ["random", "json", "raytrain", "pytest"])
def test_a_file_may_bear_the_name_of_a_module_that_is_in_use(name: str, tmp_path: Path) -> None:
    __import__(name)
    theirs = sys.modules[name]
    write(tmp_path, **{name: "STARTED = object()"})
    first = load_reference(f"{name}.py:STARTED", tmp_path)
    assert load_reference(f"{name}.py:STARTED", tmp_path) is first
    assert sys.modules[name] is theirs


def test_a_class_of_such_a_file_stays_one_class(tmp_path: Path) -> None:
    write(tmp_path, json="class Layer: pass\ndef make(): return Layer()")
    made = load_reference("json.py:make", tmp_path)()
    assert isinstance(made, load_reference("json.py:Layer", tmp_path))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserCodeError, match=r"src/nope.py: got no such file, expected a Python file"):
        load_reference("src/nope.py:build", tmp_path)


def test_a_missing_name_is_refused_with_those_there_are(tmp_path: Path) -> None:
    write(tmp_path, model="def build_model(): pass\n_hidden = 1\nSIZE = 2")
    with pytest.raises(UserCodeError) as refused:
        load_reference("model.py:build", tmp_path)
    [problem] = refused.value.problems
    assert problem == Problem(
        file="model.py", got="no `build`", expected="one of build_model, SIZE", fix="define build in model.py"
    )


def test_a_file_that_fails_is_run_again_once_it_is_mended(tmp_path: Path) -> None:
    write(tmp_path, model="ANSWER = 1 / 0")
    with pytest.raises(ZeroDivisionError):
        load_reference("model.py:ANSWER", tmp_path)
    assert "model" not in sys.modules
    write(tmp_path, model="ANSWER = 42")
    assert load_reference("model.py:ANSWER", tmp_path) == 42


def failure(folder: Path, ref: str = "model.py:build") -> Failure:
    """How the failure of calling the user's function is described."""
    with pytest.raises(BaseException) as raised:
        load_reference(ref, folder)()
    return describe_failure(raised.value, folder, rank=1)


@pytest.mark.parametrize(
    ("files", "kind", "file", "line"),
    [
        pytest.param({"model": "def build():\n    return 1 / 0"}, "ZeroDivisionError", "model.py", 2, id="a function"),
        pytest.param({"model": "x = 1\ny = x.z\nbuild = 1"}, "AttributeError", "model.py", 2, id="the file itself"),
        pytest.param(
            {
                "model": "import deep.er\ndef build():\n    deep.er.go()",
                "deep__er": "def go():\n\n    raise KeyError('x')",
            },
            "KeyError",
            "deep/er.py",
            3,
            id="the innermost file of the user's",
        ),
        pytest.param(
            {"model": "import json\ndef build():\n    return json.loads('{')"},
            "JSONDecodeError",
            "model.py",
            3,
            id="within a library that the user called",
        ),
        pytest.param({"model": "def build():\n    x = = 1"}, "SyntaxError", "model.py", 2, id="a syntax error"),
        pytest.param({"model": "def build():\n\treturn 1\n        return 2"}, "TabError", "model.py", 3, id="tabs"),
        pytest.param(
            {"model": "import near\ndef build(): pass", "near": "\n\n1 +"},
            "SyntaxError",
            "near.py",
            3,
            id="in a neighbour",
        ),
        pytest.param(
            {"model": "import nothing_of_that_name\ndef build(): pass"},
            "ModuleNotFoundError",
            "model.py",
            1,
            id="import",
        ),
        pytest.param({"model": "def build():\n    raise SystemExit(3)"}, "SystemExit", "model.py", 2, id="exit"),
        pytest.param(
            {"model": "def build():\n  try:\n    1 / 0\n  except ArithmeticError as e:\n    raise KeyError from e"},
            "KeyError",
            "model.py",
            5,
            id="the user's own raise from",
        ),
    ],
)
def test_a_failure_is_placed_at_the_users_own_line(
    files: dict[str, str], kind: str, file: str, line: int, tmp_path: Path
) -> None:
    write(tmp_path, **files)
    described = failure(tmp_path)
    assert (described.kind, described.file, described.line, described.rank) == (kind, file, line, 1)
    assert described.traceback is not None
    assert kind in described.traceback


def raised_in_a_library(user: Any, how: str) -> BaseException:
    """What a library raises that called the user's function and met its error."""
    namespace: dict[str, Any] = {}
    raising = {"cause": "raise RuntimeError('library') from e", "context": "raise RuntimeError('library')"}
    raising |= {"hidden": "raise RuntimeError('library') from None"}
    code = f"def call(user):\n    try:\n        user()\n    except Exception as e:\n        {raising[how]}\n"
    exec(compile(code, "/somewhere/library.py", "exec"), namespace)

    def calling() -> BaseException:
        try:
            namespace["call"](user)
        except RuntimeError as error:
            # Keras and TensorFlow cut the frames of others out of a traceback before they raise it again.
            return error.with_traceback(None)
        raise AssertionError

    return calling()


@pytest.mark.parametrize(
    ("how", "place"), [("cause", ("model.py", 2)), ("context", ("model.py", 2)), ("hidden", (None, None))]
)
def test_the_users_line_is_found_in_the_error_that_a_library_met(
    how: str, place: tuple[str | None, int | None], tmp_path: Path
) -> None:
    write(tmp_path, model="def build():\n    return 1 / 0")
    error = raised_in_a_library(load_reference("model.py:build", tmp_path), how)
    described = describe_failure(error, tmp_path)
    assert (described.kind, described.message) == ("RuntimeError", "library")
    assert (described.file, described.line) == place


def test_installed_packages_within_the_folder_are_not_the_users_own(tmp_path: Path) -> None:
    write(tmp_path, model="from lib import call\ndef build():\n    call()")
    site = tmp_path / ".venv/lib/site-packages"
    site.mkdir(parents=True)
    (site / "lib.py").write_text("def call():\n    raise ValueError('within')")
    sys.path.insert(0, str(site))
    described = failure(tmp_path)
    assert (described.file, described.line) == ("model.py", 3)


def test_an_error_of_ours_alone_has_no_place(tmp_path: Path) -> None:
    described = describe_failure(ValueError("no"), tmp_path)
    assert (described.kind, described.message) == ("ValueError", "no")
    assert [getattr(described, name) for name in ("file", "line", "field", "fix", "rank")] == [None] * 5
    assert described.traceback == "ValueError: no\n"


def test_a_problem_keeps_its_field_file_line_and_fix(tmp_path: Path) -> None:
    problem = Problem(got="a", expected="b", fix="c", field="data.train", file="data.py", line=7)
    described = describe_failure(UserCodeError(problem, Problem(got="d", expected="e")), tmp_path)
    place = {name: getattr(described, name) for name in ("field", "file", "line", "fix", "message")}
    assert place == {
        "field": "data.train",
        "file": "data.py",
        "line": 7,
        "fix": "c",
        "message": "got a, expected b; got d, expected e",
    }


def test_a_problem_without_a_file_raised_by_the_users_file_is_placed_there(tmp_path: Path) -> None:
    write(
        tmp_path,
        model="""
        from raytrain.errors import Problem, UserCodeError
        def build():
            raise UserCodeError(Problem(got="a", expected="b"))
        """,
    )
    assert (failure(tmp_path).file, failure(tmp_path).line) == ("model.py", 4)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError(), "ValueError"),
        (ValueError("  spaced\n"), "spaced"),
        (ValueError("x" * 3000 + "y" * 3000), f"{'x' * 1000} … {'y' * 1000}"),
        (SpecError(Problem(got="a", expected="b")), "got a, expected b"),
        (KeyError("name"), "'name'"),
        (SystemExit(), "the code ended the process (exit code 0)"),
        (SystemExit(3), "the code ended the process (exit code 3)"),
        (SystemExit("no data"), "the code ended the process (exit code 1): no data"),
    ],
)
def test_messages_are_never_empty_and_never_endless(error: BaseException, message: str, tmp_path: Path) -> None:
    assert describe_failure(error, tmp_path).message == message


def test_a_traceback_keeps_its_end(tmp_path: Path) -> None:
    write(tmp_path, model="def build(depth=400):\n    return build(depth - 1) if depth else 1 / 0")
    described = failure(tmp_path)
    assert described.traceback is not None
    assert described.traceback.endswith("ZeroDivisionError: division by zero\n")
    assert len(described.traceback) <= 20_000
    assert (described.file, described.line) == ("model.py", 2)


def test_a_function_with_other_parameters_is_the_users_and_says_what_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "d.py").write_text("def load(path): return []")
    with pytest.raises(UserCodeError) as raised:
        call_reference("d.py:load", tmp_path)
    [problem] = raised.value.problems
    assert problem.file == "d.py"
    assert "load(path)" in problem.got
    assert "missing a required argument: 'path'" in problem.got
    assert "load()" in problem.expected


def test_what_is_no_function_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d.py").write_text("load = [1]")
    with pytest.raises(UserCodeError, match="load, a list"):
        call_reference("d.py:load", tmp_path)
