"""Tests of where a job goes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from raytrain.cluster.address import OWN_SOURCE, LocalHead, is_loopback_host, normalise, resolve_address
from raytrain.errors import ClusterUnreachable, UsageError


def none_here() -> Sequence[LocalHead]:
    return []


def not_to_be_asked() -> Sequence[LocalHead]:
    raise AssertionError("this machine was looked at, though an address was given")


def two_here() -> Sequence[LocalHead]:
    return [
        LocalHead(url="http://127.0.0.1:8266", source=OWN_SOURCE),
        LocalHead(url="http://127.0.0.1:8270", gcs_address="127.0.0.1:6400"),
    ]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("head", "http://head:8265"),
        ("head:8265", "http://head:8265"),
        ("head.example.org:80", "http://head.example.org:80"),
        ("127.0.0.1:1234", "http://127.0.0.1:1234"),
        ("head_1.example.org.:80", "http://head_1.example.org.:80"),
        ("h" * 63, f"http://{'h' * 63}:8265"),
        ("http://head:8265", "http://head:8265"),
        ("http://head:8265/", "http://head:8265"),
        ("http://head", "http://head"),
        ("https://head/ray/", "https://head/ray"),
        ("https://head:443/a/b", "https://head:443/a/b"),
        ("HTTP://Head:8265", "http://head:8265"),
        ("::1", "http://[::1]:8265"),
        ("[::1]", "http://[::1]:8265"),
        ("[::1]:8266", "http://[::1]:8266"),
        ("http://[fe80::2]:8265", "http://[fe80::2]:8265"),
    ],
)
def test_forms_of_an_address(text: str, url: str) -> None:
    assert normalise(text) == url


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ray://head:10001", "http://head:8265"),
        ("head:6379", "http://head:8265"),
        ("head:10001", "http://head:8265"),
        ("127.0.0.1:6379", "http://127.0.0.1:8265"),
        ("http://head:6379", "8265"),
        ("ftp://head", "http or https"),
        ("file:///etc/passwd", "http or https"),
        ("module://head", "http or https"),
        ("http://user:secret@head:8265", "RAY_AUTH_TOKEN"),
        ("user@head", "RAY_AUTH_TOKEN"),
        ("http://", "http://HOST:8265"),
        ("head:port", "http://HOST:8265"),
        ("head:99999", "http://HOST:8265"),
        ("head:8265?x=1", "http://HOST:8265"),
        ("http://head:8265#jobs", "http://HOST:8265"),
        ("a b", "http://HOST:8265"),
        ("[::1", "http://HOST:8265"),
        ("http://head..example:8265", "http://HOST:8265"),
        ("bad..cafe", "http://HOST:8265"),
        (".head", "http://HOST:8265"),
        ("h" * 64, "http://HOST:8265"),
    ],
)
def test_refused_addresses_say_what_is_wanted(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        normalise(text)

    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("flag", "environ", "url", "source"),
    [
        ("a:1", {"RAYTRAIN_ADDRESS": "b:1", "RAY_ADDRESS": "http://d:1"}, "http://a:1", "--address"),
        (None, {"RAYTRAIN_ADDRESS": "b:1", "RAY_API_SERVER_ADDRESS": "c:1"}, "http://b:1", "RAYTRAIN_ADDRESS"),
        ("", {"RAY_API_SERVER_ADDRESS": "c:1", "RAY_ADDRESS": "http://d:1"}, "http://c:1", "RAY_API_SERVER_ADDRESS"),
        (None, {"RAYTRAIN_ADDRESS": " ", "RAY_ADDRESS": "http://d:1"}, "http://d:1", "RAY_ADDRESS"),
    ],
)
def test_the_first_source_wins_and_is_named(flag: str | None, environ: dict[str, str], url: str, source: str) -> None:
    address = resolve_address(flag, environ, running_local=not_to_be_asked)

    assert (address.url, address.source, address.starts_local) == (url, source, False)


def test_a_cluster_on_this_machine_comes_before_a_new_one() -> None:
    found = resolve_address(None, {}, running_local=two_here)
    to_start = resolve_address(None, {}, running_local=none_here)

    assert (found.url, found.source, found.is_loopback) == ("http://127.0.0.1:8266", OWN_SOURCE, True)
    assert to_start.starts_local
    assert to_start.source == "a local cluster that raytrain starts"


def test_auto_takes_what_runs_here_and_local_only_ours() -> None:
    assert resolve_address("auto", {}, running_local=two_here).url == "http://127.0.0.1:8266"
    assert resolve_address("local", {}, running_local=two_here).url == "http://127.0.0.1:8266"
    assert resolve_address("local", {}, running_local=lambda: two_here()[1:]).starts_local
    with pytest.raises(ClusterUnreachable, match="raytrain up"):
        resolve_address("auto", {}, running_local=none_here)


@pytest.mark.parametrize(
    ("ray_address", "url", "says"),
    [
        ("127.0.0.1:6400", "http://127.0.0.1:8270", "whose dashboard is on port 8270"),
        ("ray://127.0.0.1:6400", "http://127.0.0.1:8270", "whose dashboard is on port 8270"),
        ("10.0.0.7:6379", "http://10.0.0.7:8265", "expected on port 8265"),
        ("ray://head:10001", "http://head:8265", "expected on port 8265"),
        ("[fe80::7]:6379", "http://[fe80::7]:8265", "expected on port 8265"),
        ("head:8265", "http://head:8265", "RAY_ADDRESS"),
        ("http://head:8299", "http://head:8299", "RAY_ADDRESS"),
        ("auto", "http://127.0.0.1:8266", "RAY_ADDRESS=auto"),
    ],
)
def test_ray_address_names_the_control_service(ray_address: str, url: str, says: str) -> None:
    address = resolve_address(None, {"RAY_ADDRESS": ray_address}, running_local=two_here)

    assert address.url == url
    assert says in address.source


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("0.0.0.0", True),
        ("10.0.0.1", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback_host(host) is expected
