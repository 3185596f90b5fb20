import pickle

import pytest

from raytrain import errors
from raytrain.errors import ExitCode, Problem, RaytrainError, SpecError


def tree(kind: type[RaytrainError]) -> list[type[RaytrainError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in tree(child))]


KINDS = tree(RaytrainError)


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem(got="1", expected="2"), "got 1, expected 2"),
        (Problem(got="1", expected="2", fix="do it"), "got 1, expected 2; do it"),
        (Problem(got="1", expected="2", field="a.b"), "a.b: got 1, expected 2"),
        (Problem(got="1", expected="2", file="job.yaml", line=3), "job.yaml:3: got 1, expected 2"),
        (Problem(got="1", expected="2", file="job.yaml", field="a"), "job.yaml: a: got 1, expected 2"),
        (Problem(got="1", expected="2", line=3), "got 1, expected 2"),
        (
            Problem(got="1", expected="2", fix="do it", field="a.b", file="job.yaml", line=3),
            "job.yaml:3: a.b: got 1, expected 2; do it",
        ),
    ],
)
def test_a_problem_in_one_line(problem: Problem, text: str) -> None:
    assert str(problem) == text


@pytest.mark.parametrize("kind", KINDS)
def test_errors_survive_the_way_through_a_cluster(kind: type[RaytrainError]) -> None:
    error = kind(Problem(got="1", expected="2", file="f", line=3), message="why")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.problems, again.message, str(again)) == (error.problems, "why", "why")


def test_without_a_message_the_problems_speak() -> None:
    error = SpecError(Problem(got="1", expected="2"), Problem(got="3", expected="4"))
    assert str(error) == "got 1, expected 2\ngot 3, expected 4"


@pytest.mark.parametrize("kind", KINDS)
def test_the_docstring_draws_every_error_with_its_exit_code(kind: type[RaytrainError]) -> None:
    lines = [
        line
        for line in (errors.__doc__ or "").splitlines()
        if kind.__name__ in line.split() or f"── {kind.__name__}" in line
    ]
    assert len(lines) == 1, kind.__name__
    numbers = [word for word in lines[0].split() if word.isdigit()]
    assert numbers in ([], [str(kind.exit_code.value)])
    if not numbers:
        assert kind.exit_code in (kind.__mro__[1].exit_code, ExitCode.SPEC_REFUSED)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_a_title_of_its_own(kind: type[RaytrainError]) -> None:
    assert "title" in vars(kind)


def test_exit_codes_are_the_contract() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0,
        "BUG": 1,
        "USAGE": 2,
        "SPEC_REFUSED": 3,
        "CLUSTER_UNREACHABLE": 4,
        "NOT_FOUND": 5,
        "RUN_FAILED": 10,
        "RUN_STOPPED": 11,
        "STATE_UNKNOWN": 12,
        "TIMED_OUT": 124,
        "INTERRUPTED": 130,
    }
