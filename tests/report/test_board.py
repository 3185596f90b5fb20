from __future__ import annotations

import json
import re
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from raytrain.report.board import board, board_link
from raytrain.report.exported_metrics import METRICS, PREFIX


def queries() -> list[str]:
    """Every query of the board, as Grafana has it."""
    return [target["expr"] for panel in board()["panels"] for target in panel.get("targets", [])]


def test_it_is_of_grafana_s_schema() -> None:
    """Read and written again by the types that Grafana generates of it, which keep nothing that they do not know."""
    register_default_plugins()
    again = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(board())))
    assert list(lost(board(), again)) == []


def lost(ours: Any, theirs: Any, path: str = "") -> Any:
    if isinstance(ours, dict):
        for key, value in ours.items():
            yield from lost(value, theirs.get(key), f"{path}/{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, value in enumerate(ours):
            yield from lost(value, theirs[index], f"{path}/{index}")
    elif ours != theirs:
        yield path


def test_every_exported_metric_is_shown_and_no_other_one_of_ours() -> None:
    shown = {name for query in queries() for name in re.findall(rf"{PREFIX}raytrain_\w+", query)}
    assert shown == {metric.series for metric in METRICS}


def test_panels_overlap_nowhere() -> None:
    cells = [
        (x, y)
        for panel in board()["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_its_link_chooses_the_run() -> None:
    assert board_link("http://grafana:3000/", "a-1") == "http://grafana:3000/d/raytrain?var-run=a-1"
