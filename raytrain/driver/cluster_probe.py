"""Entrypoint of `raytrain doctor`'s job: looks at every node of the cluster, and prints a finding a line.

Runs in: a driver of its own, `python -m raytrain.driver.cluster_probe`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from time import time
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raytrain.doctor_protocol import REQUEST, Finding
from raytrain.driver import cluster_findings
from raytrain.driver.node_probe import NodeProbe
from raytrain.run.object_store import ObjectStore, is_object_store, join

_ANSWER_S = 120.0
_SUM_S = 240.0


def main() -> int:
    storage: str | None = json.loads(os.environ[REQUEST])["storage"]
    logging.getLogger("ray").setLevel(logging.ERROR)
    ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
    nodes = [node for node in ray.nodes() if node["Alive"]]
    for finding in examine(nodes, storage):
        print(finding.to_line(), flush=True)  # noqa: T201
    return 0


def examine(nodes: list[dict[str, Any]], storage: str | None) -> Iterator[Finding]:
    """One finding after the other; those that need a process on each node end with the first that none answers."""
    hosts = _names(nodes)
    yield _nodes(nodes)
    probes = [_probe(node, host) for node, host in zip(nodes, hosts, strict=True)]
    facts, skews = [], {}
    for probe, host in zip(probes, hosts, strict=True):
        asked = time()
        try:
            found = ray.get(probe.facts.remote(), timeout=_ANSWER_S)
        except Exception as error:  # noqa: BLE001  whatever keeps a process from starting there
            says = f"{host} starts no process: {str(error).splitlines()[0]}"
            yield Finding(check="processes", state="fail", says=says, fix="see Ray's logs of that node")
            return
        facts.append(found)
        skews[host] = found.clock - min(max(found.clock, asked), time())
    counted = {host: float(node["Resources"].get("GPU", 0)) for host, node in zip(hosts, nodes, strict=True)}
    yield cluster_findings.versions(facts)
    yield cluster_findings.gpus(facts, counted)
    yield cluster_findings.clocks(skews)
    yield cluster_findings.room(facts)
    yield _storage(probes, hosts, storage)
    yield _ports(probes, hosts)
    yield _sums(probes, hosts)


def _nodes(nodes: list[dict[str, Any]]) -> Finding:
    total = {name: sum(node["Resources"].get(name, 0) for node in nodes) for name in ("CPU", "GPU")}
    says = f"{len(nodes)} alive, {total['CPU']:g} CPU, {total['GPU']:g} GPU"
    return Finding(check="nodes", state="ok", says=says)


def _names(nodes: list[dict[str, Any]]) -> list[str]:
    """Their addresses, with the node's id where several have the same."""
    addresses = [str(node["NodeManagerAddress"]) for node in nodes]
    return [
        address if addresses.count(address) == 1 else f"{address} ({node['NodeID'][:6]})"
        for address, node in zip(addresses, nodes, strict=True)
    ]


def _probe(node: dict[str, Any], name: str) -> Any:
    there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=there)(NodeProbe).remote(name, node["NodeManagerAddress"])


def _storage(probes: list[Any], hosts: list[str], storage: str | None) -> Finding:
    if storage is None:
        return Finding(check="storage", state="skip", says="none was named", fix="--storage tries one")
    name = f".raytrain-doctor-{uuid.uuid4().hex[:8]}"
    place = join(storage, name) if is_object_store(storage) else str(Path(storage).expanduser() / name)
    names = {host: f"{number}.txt" for number, host in enumerate(hosts)}
    try:
        wrote = ray.get(
            [probe.write.remote(place, names[host]) for probe, host in zip(probes, hosts, strict=True)],
            timeout=_ANSWER_S,
        )
        failures = dict(zip(hosts, wrote, strict=True))
        if any(wrote):
            return cluster_findings.storage(storage, failures, {})
        missing = ray.get([probe.missing.remote(place, [*names.values()]) for probe in probes], timeout=_ANSWER_S)
        unseen = {
            host: [other for other in hosts if names[other] in gone] for host, gone in zip(hosts, missing, strict=True)
        }
        return cluster_findings.storage(storage, failures, unseen)
    finally:
        with contextlib.suppress(Exception):
            _remove(place, [*names.values()], probes)


def _remove(place: str, names: list[str], probes: list[Any]) -> None:
    if is_object_store(place):
        for name in names:
            ObjectStore(place).remove_object(name)
    else:
        ray.get([probe.__ray_call__.remote(_remove_folder, place) for probe in probes], timeout=_ANSWER_S)


def _remove_folder(_: NodeProbe, place: str) -> None:
    shutil.rmtree(place, ignore_errors=True)


def _ports(probes: list[Any], hosts: list[str]) -> Finding:
    addresses = ray.get([probe.listen.remote() for probe in probes], timeout=_ANSWER_S)
    unreachable = ray.get(
        [
            probe.unreachable.remote([address for address in addresses if address != own])
            for probe, own in zip(probes, addresses, strict=True)
        ],
        timeout=_ANSWER_S,
    )
    return cluster_findings.ports(dict(zip(hosts, unreachable, strict=True)))


def _sums(probes: list[Any], hosts: list[str]) -> Finding:
    """A worker on each node; two where there is one node."""
    workers = list(zip(probes, hosts, strict=True))
    if len(workers) == 1:
        [node] = [node for node in ray.nodes() if node["Alive"]][:1]
        workers.append((_probe(node, hosts[0]), f"{hosts[0]}, second"))
    addresses = ray.get([probe.hold.remote() for probe, _ in workers], timeout=_ANSWER_S)
    failures = ray.get(
        [probe.try_sum.remote(addresses, rank, within_s=_SUM_S) for rank, (probe, _) in enumerate(workers)],
        timeout=_SUM_S + _ANSWER_S,
    )
    return cluster_findings.sums({host: why for (_, host), why in zip(workers, failures, strict=True)})


if __name__ == "__main__":
    sys.exit(main())
