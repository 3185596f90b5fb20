"""Keeps a proxy of the environment, set for what lies outside, from standing between the nodes of a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterable

_NO_PROXY = "no_grpc_proxy"  # which gRPC reads in small letters alone


def reach_directly(hosts: Iterable[str]) -> None:
    """Lets gRPC in this process reach hosts of the cluster without a proxy, which may be set for what lies outside."""
    known = os.environ.get(_NO_PROXY, os.environ.get("no_proxy", ""))
    os.environ[_NO_PROXY] = ",".join(dict.fromkeys([*filter(None, known.split(",")), *hosts]))
