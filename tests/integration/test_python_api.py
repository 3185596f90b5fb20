"""raytrain in Python: one run by `raytrain.submit`, of which every function, docstring and verb says the same."""

from __future__ import annotations

import doctest
import inspect
import json
import pickle
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import raytrain
from raytrain.run.event_json import to_json
from tests.docs.pages import PAGES, ROOT, blocks, sections
from tests.integration.conftest import Cli

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


@pytest.fixture(scope="module")
def run(here: None) -> raytrain.Run:
    """The run that the example of `submit` makes."""
    names: dict[str, Any] = {"raytrain": raytrain}
    check_examples(raytrain.submit, names)
    made = names["run"]
    assert isinstance(made, raytrain.Run)
    return made


def check_examples(thing: Any, names: dict[str, Any]) -> int:
    """Runs a docstring's example; returns how many lines of it were run."""
    text = (thing.__doc__ or "").replace("…", "...")
    test = doctest.DocTestParser().get_doctest(text, names, thing.__qualname__, None, None)
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    said: list[str] = []
    runner.run(test, out=said.append, clear_globs=False)
    names.update(test.globs)
    assert not said, "".join(said)
    return len(test.examples)


def public() -> list[Any]:
    functions = [raytrain.plan, raytrain.validate, raytrain.get, raytrain.runs, raytrain.compare, raytrain.ui]
    functions += [raytrain.up, raytrain.down, raytrain.context]
    named = {name: value for kind in raytrain.Run.__mro__ for name, value in vars(kind).items()}
    methods = [value for name, value in named.items() if not name.startswith("_") and inspect.isfunction(value)]
    return [*functions, raytrain.JobSpec, raytrain.Run, *methods]


@pytest.mark.parametrize("thing", public(), ids=lambda thing: thing.__qualname__)
@pytest.mark.everyday
def test_an_example_of_a_docstring_runs(thing: Any, run: raytrain.Run) -> None:
    assert check_examples(thing, {"raytrain": raytrain}) > 0


class TestTheCommandLineSaysTheSame:
    def json(self, cli: Cli, *arguments: str) -> Any:
        done = cli(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def test_of_a_run(self, cli: Cli, run: raytrain.Run) -> None:
        whole = run.summary().to_dict()
        assert whole == run.wait().to_dict() == raytrain.get(run.id[:-1]).summary().to_dict() == run.stop().to_dict()
        for verb in ("status", "wait", "stop"):
            assert self.json(cli, verb, run.id) == json.loads(json.dumps(whole)), verb
        rows = run.metrics()
        assert self.json(cli, "metrics", run.id)["epochs"] == rows.to_dict("records")
        watched = [json.loads(line) for line in cli("watch", run.id, "--json").stdout.splitlines()]
        told = [event.to_dict() if hasattr(event, "to_dict") else to_json(event) for event in run.watch()]
        assert [body for body in watched if body["type"] != "status"] == json.loads(json.dumps(told))[:-1]
        logged = [json.loads(line) for line in cli("logs", run.id, "--json").stdout.splitlines()]
        assert without_rays_own(logged) == without_rays_own([line.to_dict() for line in run.logs()])
        assert self.json(cli, "list") == json.loads(json.dumps(raytrain.runs(limit=20).to_dict()))

    def test_of_a_job(self, cli: Cli, here: None) -> None:
        assert self.json(cli, "plan", str(ROOT / "jobs/digits"), "--workers", "2") == json.loads(
            json.dumps(raytrain.plan(ROOT / "jobs/digits", workers=2).to_dict())
        )
        assert self.json(cli, "validate", str(ROOT / "jobs/digits")) == raytrain.validate("jobs/digits").to_dict()
        assert self.json(cli, "up") == raytrain.up().to_dict()


def without_rays_own(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines of a log but for what Ray tells of a busy node, which may come between two looks."""
    return [line for line in lines if not line["line"].startswith("(raylet)")]


def test_a_run_shows_itself(run: raytrain.Run) -> None:
    line, picture = repr(run), run._repr_html_()

    assert re.fullmatch(rf"<Run {run.id} SUCCEEDED \(all epochs done\), 2 of 2 epochs, loss=\S+ .*>", line)
    assert "<svg" in picture and "SUCCEEDED" in picture and "val_loss" in picture
    assert f"raytrain.get(&quot;{run.id}&quot;).model()" in picture
    assert "<script" not in picture
    assert run.id in repr(raytrain.runs()) and run.id in raytrain.runs()._repr_html_()


def test_two_objects_of_one_run_agree_from_many_threads(run: raytrain.Run) -> None:
    other = raytrain.get(run.id)
    with ThreadPoolExecutor(8) as threads:
        told = [future.result().to_dict() for future in [threads.submit(each.summary) for each in [run, other] * 4]]

    assert other == run and hash(other) == hash(run)
    assert all(one == told[0] for one in told)


def test_a_job_said_in_python_is_the_same_in_both_ways(here: None, tmp_path: Any) -> None:
    fields: dict[str, Any] = {
        "name": "said",
        "model": {"layers": [{"Dense": {"units": 10, "activation": "softmax"}}]},
        "compile": {"optimizer": "adam", "loss": "sparse_categorical_crossentropy"},
        "data": {"train": {"sklearn": "digits"}, "validation": 0.1},
        "fit": {"epochs": 2},
    }
    by_name, as_object = (
        raytrain.plan(folder=tmp_path, **fields),
        raytrain.plan(raytrain.JobSpec(**fields), folder=tmp_path),
    )

    assert by_name.spec == as_object.spec
    assert by_name.spec.data.features == "features"


@pytest.mark.thorough
def test_the_example_of_fit_runs(here: None) -> None:
    assert check_examples(raytrain.fit, {"raytrain": raytrain}) > 0


@pytest.mark.thorough
def test_a_run_of_own_code_that_fails_names_its_line_first(here: None, tmp_path: Any) -> None:
    (tmp_path / "model.py").write_text("import keras\n\n\ndef build_model():\n    return keras.layers.Densse(1)\n")
    run = raytrain.submit(
        folder=tmp_path,
        name="broken",
        model="model.py:build_model",
        data={"train": {"inline": {"x": [1.0, 2.0], "y": [1.0, 2.0]}}, "features": "x", "label": "y"},
        fit={"global_batch_size": 2},
        restarts={"startup": 0, "max": 0},
        storage=str(tmp_path / "runs"),
    )

    with pytest.raises(raytrain.WaitTimedOut) as early:
        run.wait(timeout_s=0.0)
    with pytest.raises(raytrain.RunFailed) as failed:
        run.wait()

    assert early.value.summary.run == run.id
    assert str(failed.value).startswith("model.py:5")
    assert "Densse" in str(failed.value)
    assert failed.value.summary.error.line == 5
    assert pickle.loads(pickle.dumps(failed.value)).summary.run == run.id
    assert "resume()" in run._repr_html_()


@pytest.mark.thorough
def test_the_examples_of_the_page_are_a_script_without_a_warning(here: None, tmp_path: Any) -> None:
    """As a user's own file, far from the repository's; whatever warns is an error there."""
    script = tmp_path / "script.py"
    script.write_text("\n".join(blocks("docs/python-api.md", "python")) + "\nprint(sorted(history.history))\n")

    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "['loss', 'val_loss']"
    assert "[16, 16]" in done.stdout
    assert "epoch 2/2" in done.stderr


def test_a_page_has_every_name_of_the_door() -> None:
    headings = {heading for heading, _ in sections("docs/python-api.md")}
    errors = {name for name in raytrain.__all__ if isinstance(getattr(raytrain, name), type)} - {"Run", "JobSpec"}

    assert {f"raytrain.{name}" for name in raytrain.__all__ if name not in errors | {"__version__"}} <= headings
    assert [name for name in errors if name not in PAGES["docs/python-api.md"]] == []
