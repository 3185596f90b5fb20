"""What the facts of a cluster's nodes mean for runs: pure functions, a finding each.

Runs in: the driver of `raytrain doctor`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raytrain import formatting
from raytrain.doctor_protocol import Finding
from raytrain.driver.node_probe import PACKAGES, NodeFacts

_SKEW_S = 5.0
_DISK_BYTES, _MEMORY_BYTES = 5 * 2**30, 2**30


def versions(nodes: Sequence[NodeFacts]) -> Finding:
    """One Python, Ray, TensorFlow and Keras on all nodes."""
    lacking = {name: [node.host for node in nodes if node.versions[name] == "none"] for name in PACKAGES}
    if any(lacking.values()):
        says = "; ".join(f"no {name} on {', '.join(hosts)}" for name, hosts in lacking.items() if hosts)
        return Finding(check="versions", state="fail", says=says, fix="install it on every node, the same version")
    different = []
    for name in ("python", *PACKAGES):
        by_version: dict[str, list[str]] = {}
        for node in nodes:
            by_version.setdefault(node.versions[name], []).append(node.host)
        if len(by_version) > 1:
            different.append(f"{name} " + ", ".join(f"{one} on {hosts[0]}" for one, hosts in by_version.items()))
    if different:
        fix = "install the same versions on all nodes: workers of two versions give two answers"
        return Finding(check="versions", state="fail", says="; ".join(different), fix=fix)
    says = ", ".join(f"{name} {version}" for name, version in nodes[0].versions.items())
    return Finding(check="versions", state="ok", says=says)


def gpus(nodes: Sequence[NodeFacts], counted: Mapping[str, float]) -> Finding:
    """TensorFlow sees the GPUs that Ray counts. `counted`: those of each host."""
    total = sum(counted.values())
    if not total:
        unused = [node.host for node in nodes if node.seen_gpus]
        if unused:
            says = f"TensorFlow sees GPUs on {', '.join(unused)} that Ray does not count"
            return Finding(check="gpus", state="warn", says=says, fix="start Ray there with --num-gpus")
        return Finding(check="gpus", state="skip", says="the cluster has none")
    short = [
        f"{node.host}: Ray counts {counted.get(node.host, 0):g}, TensorFlow sees {node.seen_gpus or 0}"
        for node in nodes
        if counted.get(node.host, 0) > (node.seen_gpus or 0)
    ]
    if short:
        fix = "check the driver, and install tensorflow[and-cuda] there"
        return Finding(check="gpus", state="fail", says="; ".join(short), fix=fix)
    return Finding(check="gpus", state="ok", says=f"{total:g}, all of them seen by TensorFlow")


def clocks(skews: Mapping[str, float]) -> Finding:
    """`skews`: seconds by which each host's clock is ahead of the driver's."""
    host, skew = max(skews.items(), key=lambda item: abs(item[1]))
    if abs(skew) > _SKEW_S:
        says = f"the clock of {host} is {formatting.seconds(abs(skew))} {'ahead' if skew > 0 else 'behind'}"
        return Finding(check="clocks", state="warn", says=says, fix="run an NTP service on the nodes")
    return Finding(check="clocks", state="ok", says=f"at most {formatting.seconds(abs(skew))} apart")


def room(nodes: Sequence[NodeFacts]) -> Finding:
    """Disk for logs and spilled objects, shared memory for Ray's object store."""
    little = [
        f"{formatting.size(node.disk_free)} of disk on {node.host}" for node in nodes if node.disk_free < _DISK_BYTES
    ] + [
        f"{formatting.size(node.memory_free)} of shared memory on {node.host}"
        for node in nodes
        if node.memory_free < _MEMORY_BYTES
    ]
    if little:
        fix = "make room in the temporary folder; start containers with a larger --shm-size"
        return Finding(check="room", state="warn", says=f"only {', '.join(little)}", fix=fix)
    disk, memory = min(node.disk_free for node in nodes), min(node.memory_free for node in nodes)
    return Finding(
        check="room", state="ok", says=f"{formatting.size(disk)} of disk, {formatting.size(memory)} of shared memory"
    )


def storage(place: str, failures: Mapping[str, str], unseen: Mapping[str, Sequence[str]]) -> Finding:
    """Every node writes the storage, and sees what the others wrote.

    Args:
        failures: why a host could not write.
        unseen: the hosts whose files a host did not see.
    """
    failed = [f"{host} cannot write it: {why}" for host, why in failures.items() if why]
    if failed:
        fix = "give the nodes the right to write there, or name another with --storage"
        return Finding(check="storage", state="fail", says=f"{place}: {'; '.join(failed)}", fix=fix)
    apart = [f"{host} does not see what {', '.join(others)} wrote" for host, others in unseen.items() if others]
    if apart:
        fix = "take a path that all nodes share, such as NFS, or an object store"
        return Finding(check="storage", state="fail", says=f"{place}: {'; '.join(apart)}", fix=fix)
    return Finding(check="storage", state="ok", says=f"{place}: written and seen by every node")


def ports(unreachable: Mapping[str, Sequence[str]]) -> Finding:
    """`unreachable`: the addresses that each host cannot connect to."""
    closed = [f"{host} does not reach {', '.join(others)}" for host, others in unreachable.items() if others]
    if closed:
        fix = "open all TCP ports between the nodes: TensorFlow's workers talk on ports of their own"
        return Finding(check="ports", state="fail", says="; ".join(closed), fix=fix)
    if len(unreachable) == 1:
        return Finding(check="ports", state="skip", says="there is one node")
    return Finding(check="ports", state="ok", says="every node reaches every other")


def sums(failures: Mapping[str, str]) -> Finding:
    """`failures`: why the sum over all nodes failed, by host; empty words where it did not."""
    failed = [f"{host}: {why}" for host, why in failures.items() if why]
    if failed:
        fix = "see ports and versions above; the log of the job has TensorFlow's own words"
        return Finding(check="collectives", state="fail", says="; ".join(failed), fix=fix)
    return Finding(
        check="collectives", state="ok", says=f"{formatting.plural(len(failures), 'worker')} sum right with TensorFlow"
    )
