"""The Grafana board as JSON, of the panels in `board_panels`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from raytrain.report import exported_metrics as exported
from raytrain.report.board_panels import ROWS, Panel, Query

UID = "raytrain"
_SCHEMA_VERSION = 38  # of Grafana 10; later ones read it
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS = 24  # of Grafana's grid
_HEIGHTS = {"stat": 4, "timeseries": 8}


def board() -> dict[str, Any]:
    """What Grafana imports, or reads from a folder of its own."""
    return {
        "uid": UID,
        "title": "raytrain",
        "description": "Runs of raytrain: do they learn, how fast, what do they wait for, what went wrong.",
        "tags": ["ray", "raytrain"],
        "schemaVersion": _SCHEMA_VERSION,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_source_variable(), _run_variable()]},
        "panels": list(_panels()),
    }


def board_link(grafana_url: str, run: str) -> str:
    """The board with the run chosen."""
    return f"{grafana_url.rstrip('/')}/d/{UID}?var-run={run}"


def _source_variable() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _run_variable() -> dict[str, Any]:
    query = f"label_values({exported.ATTEMPT.series}, run)"
    return {
        "name": "run",
        "label": "Run",
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": "runs"},
        "refresh": 2,  # whenever the span of time changes
        "sort": 2,  # ids end with the time of submission, so the newest of a job comes first
        "multi": True,
        "includeAll": True,
        "current": {"text": "All", "value": "$__all"},
    }


def _panels() -> Iterator[dict[str, Any]]:
    """Every row and panel, laid out from top to bottom."""
    number, top = 1, 0
    for row in ROWS:
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"h": 1, "w": _COLUMNS, "x": 0, "y": top},
        }
        number, top = number + 1, top + 1
        width = 4 if row.panels[0].kind == "stat" else 8 if len(row.panels) % 3 == 0 else 12
        height = _HEIGHTS[row.panels[0].kind]
        for index, panel in enumerate(row.panels):
            line, column = divmod(index * width, _COLUMNS)
            place = {"h": height, "w": width, "x": column, "y": top + line * height}
            yield _panel(panel, number, place)
            number += 1
        top += height * -(-len(row.panels) * width // _COLUMNS)


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    is_figure = panel.kind == "stat"
    defaults: dict[str, Any] = {"unit": panel.unit}
    if panel.stacked:
        defaults["custom"] = {"stacking": {"mode": "normal", "group": "A"}, "fillOpacity": 30}
    options: dict[str, Any] = (
        {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "value"}
        if is_figure
        else {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}}
    )
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [_target(query, chr(ord("A") + index), is_figure) for index, query in enumerate(panel.queries)],
    }


def _target(query: Query, ref: str, is_figure: bool) -> dict[str, Any]:
    return {
        "refId": ref,
        "datasource": _SOURCE,
        "expr": query.expr,
        "legendFormat": query.legend,
        "instant": is_figure,
        "range": not is_figure,
    }
