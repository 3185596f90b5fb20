"""Reaches the cluster that a command is for: decides which, starts the local one where there is none, and connects."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from raytrain.cluster.address import DASHBOARD_PORT, OWN_SOURCE, Address, LocalHead, address_of, resolve_address
from raytrain.cluster.auth import Tokens, token_place
from raytrain.cluster.contexts import context_in_use
from raytrain.cluster.http import Transport
from raytrain.cluster.jobs_api import JobsApi
from raytrain.cluster.local import local_cluster, machine
from raytrain.errors import ClusterError, ClusterUnreachable, Problem

Progress = Callable[[str], None]
# Whether anyone listens on this machine is known at once; who does may be slow to answer.
_PROBE_CONNECT_S, _PROBE_READ_S = 1.0, 10.0


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A cluster within reach.

    Attributes:
        address: where it is and who said so.
        api: talks to it.
        shares_this_machine: its head runs here, so that paths and interpreters are the same on both sides.
        is_ours: it is the local cluster that raytrain started.
        token_in: where the token is that it asks for.
    """

    address: Address
    api: JobsApi
    shares_this_machine: bool
    is_ours: bool
    token_in: str | None


def locate(flag: str | None, environ: Mapping[str, str] | None = None) -> Address:
    """Where a job would go and why; nothing is started, and only this machine is looked at."""
    environ = os.environ if environ is None else environ
    context = context_in_use(environ)
    return resolve_address(
        flag,
        environ,
        running_local=lambda: _heads(environ),
        context=replace(address_of(context.address, context.in_words), storage=context.storage) if context else None,
    )


def connect(
    flag: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    start_local: bool = True,
    progress: Progress | None = None,
) -> Connection:
    """Connects to the cluster that `locate` names, once it has answered.

    Args:
        flag: what `--address` was given.
        environ: this process's own environment when left out.
        start_local: start the local cluster where there is none; otherwise that is an error.
        progress: told in a few words what is being done.

    Raises:
        UsageError: the address cannot be a dashboard's.
        ClusterError: the cluster cannot be reached, or not be started.
    """
    environ = os.environ if environ is None else environ
    address = locate(flag, environ)
    if address.starts_local:
        if not start_local:
            raise ClusterUnreachable(
                Problem(
                    got="no cluster: none was named, and none runs on this machine",
                    expected="a running cluster",
                    fix="raytrain up starts one here; --address names one elsewhere",
                )
            )
        started = local_cluster.start(environ=environ, progress=progress)
        address = Address(url=started.url, source=address.source, is_loopback=True)
    http = Transport(address.url, tokens=Tokens(environ))
    api = JobsApi(address.url, transport=http)
    api.versions()
    ours = local_cluster.running(environ)
    is_ours = ours is not None and ours.url == address.url
    return Connection(
        address=address,
        api=api,
        is_ours=is_ours,
        shares_this_machine=is_ours or _runs_here(address, api),
        token_in=token_place(environ) if http.sends_token else None,
    )


def connect_to(url: str, environ: Mapping[str, str] | None = None) -> JobsApi:
    """The API of a cluster known by its dashboard's url, such as the one that a run was submitted to."""
    environ = os.environ if environ is None else environ
    return JobsApi(url, tokens=Tokens(environ))


def _heads(environ: Mapping[str, str]) -> list[LocalHead]:
    """The heads on this machine, our own first. Those that raytrain keeps for another state directory are not ours."""
    own = local_cluster.running(environ)
    found = machine.running_heads()
    heads = [LocalHead(url=own.url, source=OWN_SOURCE)] if own else []
    heads += [head for head in found if not head.of_raytrain and not (own and head.url == own.url)]
    usual = f"http://127.0.0.1:{DASHBOARD_PORT}"
    if not heads and all(head.url != usual for head in found) and _answers(usual, environ):
        heads.append(LocalHead(url=usual, source=f"the cluster that answers on port {DASHBOARD_PORT} of this machine"))
    return heads


def _answers(url: str, environ: Mapping[str, str]) -> bool:
    """Whether a Ray dashboard answers: one in a container, of another user, or at the end of a tunnel."""
    tokens = Tokens(environ)
    probe = Transport(url, tokens=tokens, connect_timeout_s=_PROBE_CONNECT_S, read_timeout_s=_PROBE_READ_S)
    try:
        JobsApi(url, transport=probe).versions()
    except ClusterError:
        return False
    return True


def _runs_here(address: Address, api: JobsApi) -> bool:
    """Whether the head's files are this machine's: a loopback address may be the end of a tunnel."""
    if not address.is_loopback:
        return False
    head = api.head()
    return head is not None and os.path.isdir(head.session_dir)
