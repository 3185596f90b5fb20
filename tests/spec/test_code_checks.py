from pathlib import Path

import pytest

from raytrain.errors import Problem
from raytrain.spec.load import load_job
from raytrain.spec.python_refs import python_refs
from tests.saved_models import write_saved_model
from tests.spec.conftest import JOB_YAML, Write, accepted, refused

FUNCTIONS = """\
import keras
from keras.losses import huber as smooth
try:
    import fancy as tricks
except ImportError:
    tricks = None

bare, other = keras.Sequential, 1
typed: object = None

def plain():
    pass

def keyword(hidden, *, depth, width=1, base=None):
    pass

def anything(**kwargs):
    pass

def needs_base(base, hidden=1):
    pass

def positional(hidden, /, other=1):
    pass

class Model(keras.Model):
    pass

def two(a, b):
    pass

def one(batch, extra=1):
    pass

def many(*args):
    pass

def strict(batch, *, must):
    pass

if True:
    def conditional():
        pass
"""


def problems_of(write_job: Write, *overrides: str, yaml: str = JOB_YAML) -> list[Problem]:
    return refused(with_base(write_job(yaml, f__py=FUNCTIONS)), *overrides)


def with_base(folder: Path) -> Path:
    write_saved_model(folder / "base.keras")
    return folder


@pytest.mark.parametrize(
    "name", ["plain", "Model", "bare", "other", "typed", "smooth", "tricks", "conditional", "keras"]
)
def test_names_that_a_module_defines_are_found(write_job: Write, name: str) -> None:
    accepted(write_job(f__py=FUNCTIONS), f"model=f.py:{name}")


def test_star_imports_may_define_anything(write_job: Write) -> None:
    accepted(write_job(f__py="from keras.applications import *\n"), "model=f.py:ResNet50")


@pytest.mark.parametrize(
    ("ref", "got", "expected", "fix"),
    [
        ("modl.py:build_model", "modl.py, which does not exist", "a file in ", "did you mean `model.py`?"),
        ("f.py:plan", "`plan`, which f.py does not define", "one of its functions: plain, keyword", "`plain`?"),
        ("empty.py:f", "`f`, which empty.py does not define", "a function of that name in empty.py", ""),
        ("../model.py:f", "../model.py, which lies outside", "a path within the job's folder", ""),
        ("/etc/model.py:f", "/etc/model.py, which lies outside", "a path within the job's folder", ""),
    ],
)
def test_references_that_lead_nowhere(write_job: Write, ref: str, got: str, expected: str, fix: str) -> None:
    folder = write_job(f__py=FUNCTIONS, empty__py="")
    (problem,) = refused(folder, f"model={ref}")
    assert got in problem.got
    assert problem.expected.startswith(expected)
    assert fix in problem.fix
    assert (problem.field, problem.file) == ("model", f"--set model={ref}")


def test_a_syntax_error_is_told_in_the_users_file(write_job: Write) -> None:
    (problem,) = refused(write_job(f__py="x = 1\ndef build(:\n    pass\n"), "model=f.py:build")
    assert (problem.file, problem.line, problem.field) == ("f.py", 2, "model")
    assert "def build(:" in problem.got


@pytest.mark.parametrize(
    ("overrides", "field", "got", "expected", "fix"),
    [
        (["model_args.hiden=3"], "model_args.hiden", "`hiden`", "one of hidden", "`hidden`?"),
        (["model=f.py:plain", "model_args.a=3"], "model_args.a", "`a`, which plain in f.py:11", "no arguments", ""),
        (["model=f.py:keyword"], "model_args", "no value for hidden, depth", "keyword in f.py:14", "{hidden: …}"),
        (["model=f.py:keyword", "model_args.hidden=1"], "model_args", "no value for depth", "", ""),
        (["model=f.py:needs_base"], "model_args", "no value for base", "", "add init_from"),
        (["model=f.py:positional", "model_args.hidden=1"], "model_args.hidden", "`hidden`", "one of other", ""),
        (["model=f.py:plain", "init_from=base.keras"], "init_from", "takes no `base`", "a parameter `base`", ""),
        (["model=f.py:plain", "init_from=@last"], "init_from", "takes no `base`", "a parameter `base`", ""),
        (
            ["model=f.py:needs_base", "init_from=base.keras", "model_args.base=1"],
            "model_args.base", "`base` twice", "one of the two", "",
        ),
        (["model.layers=[{Dense: {}}]", "compile={}", "model_args.a=1"], "model_args", "beside model.layers", "", ""),
        (["model.file=base.keras", "init_from=@last"], "init_from", "beside model.file", "", ""),
        (["model.file=bas.keras"], "model.file", "bas.keras, which does not exist", "", "`base.keras`?"),
        (["model=f.py:needs_base", "init_from=bas.keras"], "init_from", "bas.keras, which does not exist", "", "base"),
    ],
)  # fmt: skip
def test_model_arguments(write_job: Write, overrides: list[str], field: str, got: str, expected: str, fix: str) -> None:
    problem = problems_of(write_job, *overrides)[-1]
    assert problem.field == field
    assert got in problem.got
    assert expected in problem.expected
    assert fix in problem.fix


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=f.py:keyword", "model_args={hidden: 1, depth: 2}"],
        ["model=f.py:keyword", "model_args={hidden: 1, depth: 2}", "init_from=base.keras"],
        ["model=f.py:anything", "model_args={x: 1}"],
        ["model=f.py:needs_base", "init_from=some-run-id"],
        ["model=f.py:Model", "model_args={x: 1}"],
        ["model.file=base.keras"],
        ["model.run=@last"],
        ["compile=f.py:one"],
        ["compile=f.py:many"],
        ["callbacks=f.py:plain"],
        ["data.preprocess.0.python=f.py:one"],
        ["data.preprocess.0.python=f.py:bare"],
        ["data.train.python=f.py:plain", "data.features=a"],
        ["compile.loss=f.py:two", "compile.metrics=[accuracy, f.py:two]"],
    ],
)
def test_calls_that_fit(write_job: Write, overrides: list[str]) -> None:
    accepted(with_base(write_job(f__py=FUNCTIONS)), *overrides)


@pytest.mark.parametrize(
    ("override", "got", "expected"),
    [
        ("compile=f.py:plain", "plain()", "a function of one argument"),
        ("compile=f.py:two", "two(a, b)", "a function of one argument"),
        ("compile=f.py:strict", "strict(batch, must)", "a function of one argument"),
        ("callbacks=f.py:two", "two(a, b)", "without arguments"),
        ("data.preprocess.0.python=f.py:two", "two(a, b)", "a function of one argument"),
        ("data.validation.python=f.py:two", "two(a, b)", "without arguments"),
    ],
)
def test_calls_that_do_not_fit(write_job: Write, override: str, got: str, expected: str) -> None:
    (problem,) = problems_of(write_job, override)
    assert (problem.got, problem.file) == (got, "f.py")
    assert problem.line > 0
    assert expected in problem.expected


def test_references_in_losses_and_metrics_are_followed(write_job: Write) -> None:
    overrides = ["compile.loss={out: 'f.py:lost'}", "compile.metrics=[accuracy, [model.py:gone]]"]
    assert [problem.field for problem in problems_of(write_job, *overrides)] == [
        "compile.loss.out",
        "compile.metrics.1.0",
    ]


def test_every_reference_is_listed(write_job: Write) -> None:
    overrides = ["compile=f.py:one", "callbacks=f.py:plain", "data.preprocess.0.python=f.py:one"]
    job = load_job(str(write_job(f__py=FUNCTIONS)), overrides=[*overrides, "data.test.python=f.py:plain"])
    assert [ref for _, ref, _ in python_refs(job.spec)] == [
        "model.py:build_model", "f.py:one", "f.py:plain", "f.py:plain", "f.py:one",
    ]  # fmt: skip
