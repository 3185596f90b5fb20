"""Whether a cluster's dashboard asks who comes in."""

from __future__ import annotations

from raytrain.cluster.http import Transport


def wants_token(url: str) -> bool:
    """Whether it asks for Ray's token; one too old to tell asks for none.

    Raises:
        ClusterUnreachable: it does not answer.
    """
    http = Transport(url)
    response = http.send("GET", "/api/authentication_mode", accept=(200, 404))
    if response.status_code == 404:
        return False
    return http.json_of(response, lambda body: str(body["authentication_mode"]) == "token")
