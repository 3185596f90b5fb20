"""The README.md beside an exported model: what it is, how it is used, what it was trained on, and how well it does.

Runs in: a child process of the client.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from raytrain import formatting
from raytrain.data.pipeline import Pipeline
from raytrain.export_protocol import ARTIFACTS, Exported, Format
from raytrain.run.event_log import read_events
from raytrain.run.events import Sharded
from raytrain.run.run_paths import RunPaths
from raytrain.run.summary import RunSummary, summarize
from raytrain.spec.describe_job import data_words, model_words
from raytrain.spec.equivalence import promise
from raytrain.spec.job import JobSpec
from raytrain.spec.request import JobRequest

_MOST_CLASSES = 100

_USE: dict[Format, str] = {
    "keras": 'model = keras.saving.load_model("{artifact}")\nanswers = model({fed})',
    "tf_saved_model": 'model = tf.saved_model.load("{artifact}")\n'
    'answers = model.signatures["serving_default"]({called})',
    "onnx": 'session = onnxruntime.InferenceSession("{artifact}")\nanswers = session.run(None, {fed})',
    "litert": 'model = ai_edge_litert.interpreter.Interpreter("{artifact}").get_signature_runner()\n'
    "answers = model({called})",
    "weights": 'model.load_weights("{artifact}")  # of the same layers',
}


@dataclass(frozen=True, kw_only=True)
class CardSources:
    """What a card is made of, as the run's directory has it."""

    spec: JobSpec
    summary: RunSummary
    request: JobRequest | None
    tier: str
    keras_version: str
    shown: str

    @property
    def run(self) -> str:
        """Its id, whatever a copy of its directory is called."""
        return self.request.run if self.request else self.summary.run

    @classmethod
    def of(cls, paths: RunPaths, spec: JobSpec, shown: str) -> CardSources:
        events = read_events(paths.events)
        request, version = None, ""
        with contextlib.suppress(OSError, ValueError):
            request = JobRequest.model_validate_json(paths.request.read_text())
        with contextlib.suppress(OSError, ValueError, LookupError, zipfile.BadZipFile), _opened(paths) as archive:
            version = str(json.loads(archive.read("metadata.json"))["keras_version"])
        tier = next((event.tier for event in reversed(events) if isinstance(event, Sharded)), "shared")
        summary = summarize(paths.run, events)
        return cls(spec=spec, summary=summary, request=request, tier=tier, keras_version=version, shown=shown)


def model_card(exported: Exported, sources: CardSources, pipeline: Pipeline | None) -> str:
    """The whole text, in Markdown with the front matter that model hubs read."""
    name, summary = sources.spec.name, sources.summary
    head = yaml.safe_dump({"library_name": "keras", "tags": ["raytrain", name, exported.format]}, sort_keys=False)
    lines = [
        "---",
        head.rstrip(),
        "---",
        "",
        f"# {name}",
        "",
        f"The model of run `{sources.run}`, in the format {exported.format}.",
        "",
        *_section("Use", _use(exported)),
        *_section("Data", _data(sources, pipeline)),
        *_section("Metrics", _metrics(summary)),
        *_section("Training", _training(sources)),
        *_section("Versions", _versions(sources)),
    ]
    return "\n".join(lines) + "\n"


def _opened(paths: RunPaths) -> zipfile.ZipFile:
    return zipfile.ZipFile(paths.model)


def _section(title: str, lines: Iterator[str]) -> list[str]:
    return [f"## {title}", "", *lines, ""]


def _use(exported: Exported) -> Iterator[str]:
    artifact = ARTIFACTS[exported.format]  # type: ignore[index]  # of this or another version
    fed = "{" + ", ".join(f'"{each.name}": …' for each in exported.inputs) + "}"
    called = ", ".join(f"{each.name}=…" for each in exported.inputs)
    yield "```python"
    yield _USE[exported.format].format(artifact=artifact, fed=fed, called=called)  # type: ignore[index]
    yield "```"
    yield ""
    if exported.inputs:
        yield "| input | column | type | shape |"
        yield "|---|---|---|---|"
        for each in exported.inputs:
            shape = ", ".join("rows" if size is None else str(size) for size in each.shape)
            yield f"| `{each.name}` | {each.column} | {each.dtype} | ({shape}) |"
        yield ""
    yield f"Outputs: {', '.join(f'`{name}`' for name in exported.outputs)}."
    yield ""
    yield {
        "inside": "The columns go in as they are in the data, without empty cells: the preprocessing is inside.",
        "outside": "The preprocessing is left outside: what goes in is what the steps below make.",
    }.get(exported.preprocessing, "The job preprocesses no feature.")
    yield ""
    of = "rows of its data" if exported.of_data else "rows of random numbers"
    yield (
        f"Run by its own runtime on {exported.rows} {of}, it differs from the trained model by at most"
        f" {exported.largest_difference:.1e}."
    )


def _data(sources: CardSources, pipeline: Pipeline | None) -> Iterator[str]:
    data = sources.spec.data
    yield f"- source: {data_words(sources.spec)}"
    rows = {split: rows for split, rows in sources.summary.rows.items() if rows}
    if rows:
        yield f"- rows: {', '.join(f'{formatting.count(number)} {split}' for split, number in rows.items())}"
    yield f"- features: {', '.join(data.feature_columns)}"
    if data.label_columns:
        yield f"- label: {', '.join(data.label_columns)}"
    for step in data.preprocess:
        yield f"- preprocessing: {step.kind} of {', '.join(step.columns) or step.value}"
    for column, classes in _classes(pipeline, data.label_columns):
        yield f"- classes of {column}, from {classes[0][0]} on: {', '.join(name for _, name in classes)}"


def _classes(pipeline: Pipeline | None, labels: list[str]) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    for step in pipeline.steps if pipeline else ():
        if step.step.encode:
            for name, into in zip(step.step.value.columns, step.step.value.outputs, strict=True):
                known = step.states.get(name) or []
                if into in labels and 0 < len(known) <= _MOST_CLASSES:
                    yield into, [(step.step.value.start + place, str(value)) for place, value in enumerate(known)]


def _metrics(summary: RunSummary) -> Iterator[str]:
    said = {"test": summary.test or {}, "last epoch": summary.last_metrics}
    if best := summary.best:
        yield f"- best epoch: {best.epoch + 1}, {best.monitor}={formatting.metric(best.value)}"
    for what, metrics in said.items():
        if metrics:
            yield f"- {what}: {formatting.metrics(metrics)}"


def _training(sources: CardSources) -> Iterator[str]:
    spec, summary = sources.spec, sources.summary
    yield f"- model: {model_words(spec)}"
    yield (
        f"- {formatting.plural(len(summary.epochs), 'epoch')} of batches of {spec.fit.global_batch_size} rows on"
        f" {formatting.plural(summary.workers or spec.scaling.workers, 'worker')}, seed {spec.fit.seed}"
    )
    yield f"- answer: {promise(spec, sources.tier)}"  # type: ignore[arg-type]  # as the log has it
    yield f"- run: {sources.shown}"


def _versions(sources: CardSources) -> Iterator[str]:
    request = sources.request
    yield f"- git commit: {(request.commit if request else None) or 'none known'}"
    trained = {**(request.client if request else {}), "keras": sources.keras_version}
    yield f"- trained: {', '.join(f'{name} {version}' for name, version in trained.items() if version)}"
    here = {name: importlib.metadata.version(name) for name in ("raytrain", "keras", "tensorflow") if _is_there(name)}
    yield f"- exported: {', '.join(f'{name} {version}' for name, version in here.items())}"


def _is_there(package: str) -> bool:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return bool(importlib.metadata.version(package))
    return False
