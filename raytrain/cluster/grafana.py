"""The Grafana that a cluster's dashboard knows of."""

from __future__ import annotations

from collections.abc import Mapping

from raytrain.cluster.auth import Tokens
from raytrain.cluster.http import Transport
from raytrain.errors import ClusterError

_TIMEOUT_S = 3.0  # the dashboard asks Grafana before it answers
_DISABLED = "DISABLED"  # Ray's RAY_GRAFANA_HOST for none


def grafana_url(dashboard_url: str, environ: Mapping[str, str]) -> str | None:
    """Where it is; None where the dashboard knows of none, or that one does not answer."""
    try:
        http = Transport(dashboard_url, tokens=Tokens(environ), read_timeout_s=_TIMEOUT_S)
        response = http.send("GET", "/api/grafana_health", accept=(200, 404, 500, 503))
        if response.status_code != 200:
            return None
        host = http.json_of(response, lambda body: (body.get("data") or {}).get("grafanaHost"))
    except ClusterError:
        return None
    return str(host) if host and host != _DISABLED else None
