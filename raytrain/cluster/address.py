"""Decides where a job goes: which cluster, and which of the possible sources named it.

`--address` > `RAYTRAIN_ADDRESS` > the context in use > `RAY_API_SERVER_ADDRESS` > `RAY_ADDRESS` > a cluster that runs
on this machine > a local cluster that raytrain starts. What talks to the cluster is given the address that comes out of
here and never looks at Ray's environment again; Ray's own client does, and so can reach another one than that named.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from raytrain.errors import ClusterUnreachable, Problem, UsageError

DASHBOARD_PORT = 8265
EXAMPLE = f"the dashboard's address, such as http://HOST:{DASHBOARD_PORT}"
# Ports on which a Ray head listens too, but speaks no HTTP.
_OTHER_PORTS = {6379: "Ray's own control port", 10001: "the port of Ray Client"}
_LABEL = r"[A-Za-z0-9_-]{1,63}"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?|(?=.*:)[0-9A-Fa-f:.]+")


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a job goes.

    Attributes:
        url: the dashboard's, without a slash at its end; empty when the cluster is yet to be started.
        source: who named it, in words: `--address`, `RAYTRAIN_ADDRESS`, `a cluster running on this machine`, …
        is_loopback: the url is this machine's own; the cluster may still be elsewhere, behind a tunnel.
        starts_local: there is no cluster; raytrain is to start one.
        storage: of a context, for jobs that name none.
    """

    url: str
    source: str
    is_loopback: bool
    starts_local: bool = False
    storage: str | None = None


@dataclass(frozen=True, kw_only=True)
class LocalHead:
    """A Ray head that runs on this machine.

    Attributes:
        gcs_address: `host:port` of its control service, when known.
        source: what to call it.
        of_raytrain: raytrain started it, for this state directory or another.
    """

    url: str
    gcs_address: str = ""
    source: str = "a cluster running on this machine"
    of_raytrain: bool = False


LocalHeads = Callable[[], Sequence[LocalHead]]


def resolve_address(
    flag: str | None, environ: Mapping[str, str], *, running_local: LocalHeads, context: Address | None = None
) -> Address:
    """The cluster to use and who named it.

    Args:
        flag: what `--address` was given.
        environ: the process's environment.
        running_local: finds the heads that run on this machine, the one to prefer first; asked only when needed.
        context: where the context in use is.

    Raises:
        UsageError: the address cannot be one of a dashboard.
        ClusterUnreachable: `auto` was asked for and no cluster runs here.
    """
    for source, text in [("--address", flag), ("RAYTRAIN_ADDRESS", environ.get("RAYTRAIN_ADDRESS"))]:
        if text and text.strip():
            return _named(text.strip(), source, running_local)
    if context is not None:
        return context
    if ray_api := environ.get("RAY_API_SERVER_ADDRESS", "").strip():
        return _named(ray_api, "RAY_API_SERVER_ADDRESS", running_local)
    if ray_address := environ.get("RAY_ADDRESS", "").strip():
        return _of_ray_address(ray_address, running_local)
    return _on_this_machine(running_local)


def normalise(text: str, source: str = "--address") -> str:
    """The dashboard's url that `host`, `host:port`, `http://host:port` or `https://host/path` stands for.

    Raises:
        UsageError: the text names something else; says what was expected.
    """
    parts = _split(text, source)
    _refuse_what_no_dashboard_has(parts, text, source)
    host = parts.hostname or ""
    shown_host = f"[{host}]" if ":" in host else host
    port = parts.port
    if port is None and "://" not in text:
        port = DASHBOARD_PORT
    return f"{parts.scheme}://{shown_host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def is_loopback_host(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def address_of(url: str, source: str) -> Address:
    return Address(url=url, source=source, is_loopback=is_loopback_host(urlsplit(url).hostname or ""))


def _named(text: str, source: str, running_local: LocalHeads) -> Address:
    if text == "auto":
        return _auto(source, running_local)
    if text == "local":
        return _ours(source, running_local)
    return address_of(normalise(text, source), source)


def _on_this_machine(running_local: LocalHeads) -> Address:
    for head in running_local():
        return address_of(head.url, head.source)
    return Address(url="", source="a local cluster that raytrain starts", is_loopback=True, starts_local=True)


def _auto(source: str, running_local: LocalHeads) -> Address:
    for head in running_local():
        return address_of(head.url, f"{source}=auto, {head.source}")
    raise ClusterUnreachable(
        Problem(
            got=f"{source} auto, and no Ray cluster runs on this machine",
            expected="a running cluster",
            fix="raytrain up starts one; or leave auto out, and submit starts one itself",
        )
    )


def _ours(source: str, running_local: LocalHeads) -> Address:
    """`local`: the cluster that raytrain keeps here, running or yet to be started."""
    for head in running_local():
        if head.source == OWN_SOURCE:
            return address_of(head.url, f"{source}=local, {head.source}")
    return Address(
        url="", source=f"{source}=local, a local cluster that raytrain starts", is_loopback=True, starts_local=True
    )


OWN_SOURCE = "the local cluster that raytrain started"


def _of_ray_address(text: str, running_local: LocalHeads) -> Address:
    """RAY_ADDRESS mostly names Ray's control service, not the dashboard: find the dashboard that belongs to it."""
    source = "RAY_ADDRESS"
    if text in ("auto", "local"):
        return _named(text, source, running_local)
    if text.startswith(("http://", "https://")):
        return address_of(normalise(text, source), source)
    bare = text.removeprefix("ray://")
    parts = _split(bare, source)
    for head in running_local() if is_loopback_host(parts.hostname or "") else ():
        if head.gcs_address and head.gcs_address == bare:
            return address_of(head.url, f"RAY_ADDRESS={text}, whose dashboard is on port {urlsplit(head.url).port}")
    if parts.port == DASHBOARD_PORT:
        return address_of(normalise(bare, source), source)
    host = parts.hostname or ""
    url = normalise(f"[{host}]" if ":" in host else host, source)
    return address_of(url, f"RAY_ADDRESS={text}, whose dashboard is expected on port {DASHBOARD_PORT}")


def _split(text: str, source: str) -> SplitResult:
    if "://" not in text:
        bare_ipv6 = text.count(":") > 1 and not text.startswith("[")
        text = f"http://[{text}]" if bare_ipv6 else f"http://{text}"
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise UsageError(Problem(got=f"{source} {text} ({error})", expected=EXAMPLE)) from None
    return parts


def _refuse_what_no_dashboard_has(parts: SplitResult, text: str, source: str) -> None:
    host = parts.hostname or ""
    shown_host = f"[{host}]" if ":" in host else host
    better = f"{source} http://{shown_host or 'HOST'}:{DASHBOARD_PORT}"
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            Problem(
                got=f"{source} with a user name or password in it",
                expected=EXAMPLE,
                fix="give Ray's token in RAY_AUTH_TOKEN",
            )
        )
    if parts.scheme == "ray":
        raise UsageError(
            Problem(got=f"{source} {text}, which is for Ray Client", expected=EXAMPLE, fix=f"try {better}")
        )
    if parts.scheme not in ("http", "https"):
        raise UsageError(Problem(got=f"{source} {text}", expected=f"http or https: {EXAMPLE}", fix=f"try {better}"))
    if parts.port in _OTHER_PORTS:
        raise UsageError(
            Problem(
                got=f"{source} {text}; {parts.port} is {_OTHER_PORTS[parts.port]}",
                expected=f"the dashboard's port, {DASHBOARD_PORT} unless the cluster was started with another",
                fix=f"try {better}",
            )
        )
    if not host or not _HOST.fullmatch(host) or parts.query or parts.fragment:
        raise UsageError(Problem(got=f"{source} {text}", expected=EXAMPLE))
