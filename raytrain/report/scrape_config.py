"""Prometheus' configuration for a Ray cluster: where its nodes are, and which rules hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SCRAPE_EVERY_S = 5
_EVALUATE_EVERY_S = 10
# OpenTelemetry's labels, the same on every series.
_LABELS_LEFT_OUT = "otel_scope_.*"


def scrape_config(dashboard_url: str, *, rules: Path, token_file: Path | None) -> dict[str, Any]:
    """The content of a `prometheus.yml`.

    Args:
        dashboard_url: of the cluster, which tells at `/api/prometheus/sd` where its nodes' metrics are.
        token_file: holds the cluster's token; None where it wants none. The nodes themselves ask for none.
    """
    discovery: dict[str, Any] = {"url": f"{dashboard_url}/api/prometheus/sd", "refresh_interval": "15s"}
    if token_file is not None:
        discovery["authorization"] = {"type": "Bearer", "credentials_file": str(token_file)}
    return {
        "global": {"scrape_interval": f"{SCRAPE_EVERY_S}s", "evaluation_interval": f"{_EVALUATE_EVERY_S}s"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {
                "job_name": "ray",
                "http_sd_configs": [discovery],
                "metric_relabel_configs": [{"action": "labeldrop", "regex": _LABELS_LEFT_OUT}],
            }
        ],
    }
