import dataclasses
import json
import math
from typing import Any

import pytest

from raytrain.errors import Failure
from raytrain.run import events
from raytrain.run.event_json import from_line, json_line, to_line
from raytrain.run.events import Event

SAMPLES: dict[str, Any] = {
    "str": "x",
    "int": 3,
    "float": 1.5,
    "bool": True,
    "str | None": None,
    "float | None": None,
    "int | None": 2,
    "list[int]": [0, 1],
    "list[str]": ["gradient kernel"],
    "list[float]": [0.5, 1.5],
    "dict[str, str]": {"ray": "2.60.0"},
    "Metrics": {"loss": 0.5},
    "Best | None": events.Best(epoch=1, monitor="loss", value=0.5),
    "Failure": Failure(kind="ValueError", message="m", rank=1),
    "Failure | None": Failure(kind="ValueError", message="m", file="model.py", line=3),
    "list[RankPlace]": [events.RankPlace(node="10.0.0.1", pid=7)],
    "dict[str, SplitShards]": {"train": events.SplitShards(rows=3, steps=1, rows_per_worker=[2, 1])},
}
KINDS = Event.__subclasses__()


def sample(kind: type[Event]) -> Event:
    return kind(**{field.name: SAMPLES[str(field.type)] for field in dataclasses.fields(kind)})


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_is_read_back_from_its_line(kind: type[Event]) -> None:
    line = to_line(sample(kind))
    assert "\n" not in line
    assert from_line(line) == sample(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_every_line_carries_what_readers_go_by(kind: type[Event]) -> None:
    body = json.loads(to_line(sample(kind)))
    assert {"schema_version", "type", "time", "run", "attempt"} <= set(body)
    assert body["type"] == kind.type


def test_types_are_named_and_unique() -> None:
    names = [kind.type for kind in KINDS]
    assert all(names)
    assert len(set(names)) == len(names)


def test_numbers_that_json_lacks_become_null() -> None:
    event = events.TestEnd(run="a", attempt=1, time=0.0, metrics={"loss": math.nan, "top": math.inf, "auc": 0.5})
    assert json.loads(to_line(event))["metrics"] == {"loss": None, "top": None, "auc": 0.5}


def test_nan_is_found_at_any_depth() -> None:
    body = {"train": {"parts": [1.0, (math.nan, 2)], "n": {3: -math.inf}}}
    assert json.loads(json_line(body)) == {"train": {"parts": [1.0, [None, 2]], "n": {"3": None}}}


def test_text_with_line_breaks_stays_on_one_line() -> None:
    event = events.Warned(run="a", attempt=1, time=0.0, message="one\ntwo\u2028three é")
    assert len(to_line(event).splitlines()) == 1
    assert from_line(to_line(event)) == event


def test_fields_of_a_later_version_are_skipped() -> None:
    line = to_line(events.Warned(run="a", attempt=1, time=0.0, message="m"))
    later = json.dumps(json.loads(line) | {"schema_version": 9, "new": {"a": 1}})
    assert from_line(later) == from_line(line)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        '{"type":"warned","run":"a","attempt":1,"time":0.0,"mess',
        "[]",
        "3",
        "null",
        "{}",
        '{"type":"from_the_future","run":"a"}',
        '{"type":["warned"]}',
        '{"type":{}}',
        '{"type":"warned","run":"a"}',
        '{"type":"warned","run":"a","attempt":null,"time":0.0,"message":"m"}',
        '{"type":"warned","run":"a","attempt":1,"time":"now","message":"m"}',
        "Traceback (most recent call last):",
    ],
)
def test_lines_that_are_no_event_are_skipped(line: str) -> None:
    assert from_line(line) is None
