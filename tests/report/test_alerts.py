"""The rules as Prometheus' own tool sees them: their form, and when each alert fires."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from raytrain.report import exported_metrics as exported
from raytrain.report.alerts import ALERTS, rules
from raytrain.report.exported_metrics import METRICS, ExportedMetric
from raytrain.report.queries import recorded
from tests.prometheus import promtool

FIRST, SECOND = {"SessionName": "s", "WorkerId": "1"}, {"SessionName": "s", "WorkerId": "2"}
FIRING = 'count by (alertname, run) (ALERTS{alertstate="firing"})'
Series = dict[str, str]


def series(metric: ExportedMetric, values: str, /, *, process: dict[str, str] = FIRST, **labels: str) -> Series:
    """Values a minute, in promtool's words, of the run `a`."""
    named = {"run": "a", **labels, **process}
    text = ",".join(f'{name}="{value}"' for name, value in named.items())
    return {"series": f"{metric.series}{{{text}}}", "values": values}


def losses(values: str, process: dict[str, str] = FIRST) -> Series:
    return series(exported.METRIC, values, process=process, metric="loss")


def assert_holds(folder: Path, given: list[Series], minutes: int, expr: str, samples: list[dict[str, Any]]) -> None:
    (folder / "rules.yml").write_text(yaml.safe_dump(rules()))
    asked = {"expr": expr, "eval_time": f"{minutes}m", "exp_samples": samples}
    case = {"interval": "1m", "input_series": given, "promql_expr_test": [asked]}
    test = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [case]}
    (folder / "test.yml").write_text(yaml.safe_dump(test))
    done = promtool("test", "rules", folder / "test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_in_order_and_keep_every_metric(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules()))
    done = promtool("check", "rules", tmp_path / "rules.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(METRICS) + len(ALERTS)} rules found" in done.stdout


FIRES = {
    "no number": ("RaytrainDiverging", [series(exported.ATTEMPT, "1x9"), losses("1 0.5 NaN")]),
    "grows": ("RaytrainDiverging", [losses("2 1 0.5 0.8 1.2 1.5 1.9 1.9 1.9 1.9")]),
    "stands still": ("RaytrainStalled", [series(exported.ADVANCED, "60x30", rank="0")]),
    "restarts": ("RaytrainRestarting", [series(exported.RESTARTS, "0 0 1 1 2 2 2 2 2 2")]),
    "waits": ("RaytrainInputBound", [series(exported.INPUT_WAIT, "0.8x30", rank="1")]),
    "idle": ("RaytrainGpuIdle", [series(exported.GPU, "0.05x30", rank="0"), series(exported.EPOCH, "3x30")]),
}
SILENT = {
    "learns, with noise around a low loss": [
        series(exported.ATTEMPT, "1x30"),
        losses("2 1 0.1 0.01 0.03 0.01 0.04 0.01x20"),
    ],
    "another metric is no number": [
        series(exported.ATTEMPT, "1x30"),
        series(exported.METRIC, "NaN " * 30, metric="auc"),
    ],
    "advances": [series(exported.ADVANCED, "0+60x30", rank="0"), series(exported.ADVANCED, "60x30", rank="1")],
    "one restart": [series(exported.RESTARTS, "0 0 1x28")],
    "waits for a moment": [series(exported.INPUT_WAIT, "0 0 0.9 0.9 0x26", rank="1")],
    "busy": [series(exported.GPU, "0.9x30", rank="0"), series(exported.EPOCH, "3x30")],
    "idle before the first epoch": [series(exported.GPU, "0x30", rank="0")],
}


@pytest.mark.parametrize("name", FIRES)
def test_an_alert_fires(name: str, tmp_path: Path) -> None:
    alert, given = FIRES[name]
    minutes = 20 if alert in ("RaytrainStalled", "RaytrainInputBound", "RaytrainGpuIdle") else 9
    samples = [{"labels": f'{{alertname="{alert}",run="a"}}', "value": 1}]
    assert_holds(tmp_path, given, minutes, FIRING, samples)


@pytest.mark.parametrize("name", SILENT)
def test_none_fires_where_nothing_is_wrong(name: str, tmp_path: Path) -> None:
    assert_holds(tmp_path, SILENT[name], 25, FIRING, [])


def test_the_last_epoch_can_be_read_when_the_driver_has_ended_and_is_that_of_the_newest_one(tmp_path: Path) -> None:
    """Prometheus itself forgets a series five minutes after its last value."""
    given = [
        series(exported.ATTEMPT, "1x5", process=FIRST),
        losses("9 9 9 9 9", FIRST),
        series(exported.ATTEMPT, "_x9 2x5", process=SECOND),
        losses("_x9 5 4 3 2 1", SECOND),
    ]
    name = recorded(exported.METRIC)
    samples = [{"labels": f'{name}{{metric="loss",run="a"}}', "value": 1}]
    assert_holds(tmp_path, given, 50, name, samples)
