"""Tests that every way in which an exchange can fail becomes an error that says what to do.

Asks the stand-in of stand_in.py, because a real dashboard does not fail on demand.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from raytrain.cluster.auth import Tokens
from raytrain.cluster.http import Transport, was_lost
from raytrain.cluster.local.machine import free_port
from raytrain.errors import ClusterError, ClusterUnreachable, UploadTooLarge
from tests.cluster.stand_in import Answer, StandIn


def fails(transport: Transport, path: str = "/x") -> ClusterError:
    with pytest.raises(ClusterError) as caught:
        transport.get_json(path, dict)
    return caught.value


def test_nobody_listens() -> None:
    error = fails(Transport(f"http://127.0.0.1:{free_port()}"))

    assert isinstance(error, ClusterUnreachable)
    assert "connection refused" in str(error)
    assert "raytrain up" in str(error)
    assert was_lost(error)


def test_no_such_machine() -> None:
    assert "no machine named no-such-machine.invalid" in str(fails(Transport("http://no-such-machine.invalid:8265")))


@pytest.mark.parametrize("host", ["head..example", "h" * 64 + ".example"])
def test_a_host_that_cannot_be_one(host: str) -> None:
    error = fails(Transport(f"http://{host}:8265"))

    assert isinstance(error, ClusterUnreachable)
    assert "no host's name" in str(error)
    assert not was_lost(error)


def test_no_answer_in_time(dashboard: StandIn) -> None:
    dashboard.answer("/x", Answer(wait_s=5))

    error = fails(Transport(dashboard.url, read_timeout_s=0.2))

    assert isinstance(error, ClusterUnreachable)
    assert "no answer within 0.2 s" in str(error)
    assert was_lost(error)


def test_a_connection_that_breaks(dashboard: StandIn) -> None:
    dashboard.answer("/x", Answer(hang_up=True))

    error = fails(Transport(dashboard.url))

    assert isinstance(error, ClusterUnreachable)
    assert "broke" in str(error)
    assert was_lost(error)


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (Answer(status=401), ClusterUnreachable, "no token was sent"),
        (Answer(status=403), ClusterUnreachable, "RAY_AUTH_TOKEN"),
        (Answer(status=404), ClusterUnreachable, "HTTP 404"),
        (Answer(status=503), ClusterUnreachable, "HTTP 503"),
        (Answer(status=302, headers={"Location": "http://elsewhere"}), ClusterUnreachable, "http://elsewhere"),
        (Answer(body="<html>hello</html>"), ClusterUnreachable, "no JSON"),
        (Answer(body=["login"]), ClusterUnreachable, "not Ray's"),
        (Answer(status=413), UploadTooLarge, "environment.exclude"),
        (Answer(status=500, body="Traceback…\nValueError: bad job\n.\n"), ClusterError, "ValueError: bad job"),
    ],
)
def test_replies_that_are_no_success(dashboard: StandIn, answer: Answer, kind: type[ClusterError], says: str) -> None:
    dashboard.answer("/x", answer)

    error = fails(Transport(dashboard.url))

    assert type(error) is kind
    assert says in str(error)
    assert not was_lost(error)


SECRET = Tokens({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "s3cret"})


def test_a_cluster_that_asks_for_a_token_gets_it(dashboard: StandIn) -> None:
    dashboard.answer("/x", Answer(body={}), Answer(status=401), Answer(body={}))
    transport = Transport(dashboard.url, tokens=Tokens({"RAY_AUTH_TOKEN": "s3cret"}))

    for _ in range(3):
        transport.get_json("/x", dict)

    sent = [asked.headers.get("X-Ray-Authorization") for asked in dashboard.asked]
    assert sent == [None, None, "Bearer s3cret", "Bearer s3cret"]
    assert [asked.headers.get("Authorization") for asked in dashboard.asked] == sent


def test_a_cluster_that_asks_for_another_token_is_not_asked_again(dashboard: StandIn) -> None:
    dashboard.answer("/x", Answer(status=401))

    error = fails(Transport(dashboard.url, tokens=Tokens({"RAY_AUTH_TOKEN": "s3cret"})))

    assert "the token sent is not the cluster's" in str(error)
    assert len(dashboard.asked) == 2


def test_the_token_is_sent_and_never_shown(dashboard: StandIn) -> None:
    dashboard.answer("/x", Answer(body={}), Answer(status=403, body="Forbidden"))
    transport = Transport(dashboard.url, tokens=SECRET)

    transport.get_json("/x", dict)
    error = fails(transport)

    assert dashboard.asked[0].headers["Authorization"] == "Bearer s3cret"
    assert "the token sent is not the cluster's" in str(error)
    assert "s3cret" not in str(error)


def test_a_redirect_is_not_followed_with_the_token(dashboard: StandIn) -> None:
    dashboard.answer("/x", Answer(status=307, headers={"Location": f"{dashboard.url}/y"}))
    dashboard.answer("/y", Answer(body={}))

    fails(Transport(dashboard.url, tokens=SECRET))

    assert dashboard.asked_for("/y") == []


def test_a_token_is_refused_before_it_could_travel_in_the_clear() -> None:
    with pytest.raises(ClusterError, match="plain http"):
        Transport("http://head:8265", tokens=SECRET)


def test_netrc_and_proxies_are_left_out(dashboard: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password hush\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    dashboard.answer("/x", Answer(body={}))

    Transport(dashboard.url).get_json("/x", dict)

    assert "Authorization" not in dashboard.asked[0].headers
