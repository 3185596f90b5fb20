from __future__ import annotations

from typing import Any

import pytest

from raytrain.cluster.grafana import grafana_url
from tests.cluster.stand_in import Answer, StandIn


def running(**data: str) -> Answer:
    return Answer(body={"result": True, "msg": "Grafana running", "data": data})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (running(grafanaHost="http://grafana:3000"), "http://grafana:3000"),
        (running(grafanaHost="DISABLED"), None),
        (Answer(status=500, body={"result": False, "msg": "Grafana healthcheck failed"}), None),
        (Answer(status=404, body="404: Not Found"), None),
        (Answer(body=["not Ray's"]), None),
        (Answer(hang_up=True), None),
    ],
)
def test_it_is_known_where_the_dashboard_says_so(answer: Any, expected: str | None, dashboard: StandIn) -> None:
    dashboard.answer("/api/grafana_health", answer)
    assert grafana_url(dashboard.url, {}) == expected
