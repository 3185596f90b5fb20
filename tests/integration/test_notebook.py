"""docs/'s notebooks in a real Jupyter kernel: every cell runs, progress is drawn, an interrupt does as model.fit's."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.docs.pages import ROOT

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytestmark = pytest.mark.thorough

MORE = """
model.compile("sgd", loss)
raytrain.fit(model, x, y, epochs=10_000, workers=2)
"""
WHAT_IS_LEFT = """
len(model.history.epoch) >= 2, int(model.optimizer.iterations) > 0, str(raytrain.runs(limit=1)[0].summary().reason)
"""


@pytest.fixture(scope="module")
def executed(here: None) -> Iterator[tuple[Any, Any]]:
    """fit.ipynb, and the client whose kernel still lives."""
    with executing("fit.ipynb") as done:
        yield done


@contextmanager
def executing(name: str) -> Iterator[tuple[Any, Any]]:
    """A notebook after all of its cells were run, and its client."""
    notebook = nbformat.read(ROOT / "docs" / name, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3")
    with client.setup_kernel(cwd=str(ROOT)):
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        yield notebook, client


def outputs(notebook: Any, words: str) -> list[Any]:
    [cell] = [cell for cell in notebook.cells if cell.cell_type == "code" and words in cell.source]
    return list(cell.outputs)


def test_progress_is_drawn_in_the_cell_without_a_script(executed: tuple[Any, Any]) -> None:
    notebook, _ = executed

    shown = [output for output in outputs(notebook, "raytrain.fit(") if output.output_type == "display_data"]

    [picture] = [output.data["text/html"] for output in shown]
    assert "SUCCEEDED" in picture and "<svg" in picture and "3 of 3 epochs" in picture
    assert "<script" not in picture
    assert not [output for output in outputs(notebook, "raytrain.fit(") if output.get("name") == "stderr"]


def test_what_was_trained_is_back(executed: tuple[Any, Any]) -> None:
    notebook, _ = executed

    [told] = outputs(notebook, "model.evaluate")

    accuracies, losses, evaluated = re.findall(r"[\[(]([^\[\]()]+)[\])]", told.data["text/plain"])
    assert [accuracies.count(","), losses.count(","), evaluated.count(",")] == [2, 2, 1]
    assert float(accuracies.split(",")[-1]) > 0.6


def test_a_run_and_its_metrics_show_themselves(executed: tuple[Any, Any]) -> None:
    notebook, _ = executed
    [run], [metrics] = outputs(notebook, "run = raytrain"), outputs(notebook, "run.metrics()")

    assert re.match(r"<Run \S+ SUCCEEDED", run.data["text/plain"])
    assert "raytrain.get(" in run.data["text/html"] and "<svg" in run.data["text/html"]
    assert "val_accuracy" in metrics.data["text/html"]


def test_an_interrupted_kernel_keeps_what_was_trained(executed: tuple[Any, Any]) -> None:
    _, client = executed
    kernel: Any = client.kc
    message = kernel.execute(MORE)
    until_it_has_epochs(client)

    nbclient.util.run_sync(client.km.interrupt_kernel)()

    reply = reply_to(client, message)
    assert (reply["status"], reply.get("ename")) == ("error", "KeyboardInterrupt")
    cell = nbformat.v4.new_code_cell(WHAT_IS_LEFT)
    client.execute_cell(cell, 0, store_history=False)
    assert cell.outputs[0].data["text/plain"] == "(True, True, 'stopped_by_user')"


def test_after_training(here: None) -> None:
    with executing("after-training.ipynb") as (notebook, _):
        [evaluated] = outputs(notebook, "run.evaluate(")
        [answers] = outputs(notebook, "run.predict(")
        [exported] = outputs(notebook, "run.export(")
        [history] = [output for output in outputs(notebook, "run.extend(") if output.output_type == "execute_result"]
        [tagged] = outputs(notebook, "longer.tag(")

    assert "'accuracy'" in evaluated.data["text/plain"]
    assert answers.data["text/plain"].count("\n") == 5
    differences = [float(found) for found in re.findall(r": ([\d.e-]+)", exported.data["text/plain"])]
    assert len(differences) == 5 and max(differences) < 1e-5
    assert re.findall(r"^\d", history.data["text/plain"], re.MULTILINE) == ["0", "1", "2", "3"]
    assert tagged.data["text/plain"] == "True"


def until_it_has_epochs(client: Any) -> None:
    import raytrain

    deadline = time.monotonic() + 200
    while True:
        run = raytrain.runs(limit=1)[0].summary()
        if run.status == "RUNNING" and len(run.epochs) >= 2:
            return
        assert time.monotonic() < deadline
        time.sleep(1)


def reply_to(client: Any, message: str) -> Any:
    async def wait() -> Any:
        while True:
            reply = await client.kc.shell_channel.get_msg(timeout=200)
            if reply["parent_header"].get("msg_id") == message:
                return reply["content"]

    return nbclient.util.run_sync(wait)()
