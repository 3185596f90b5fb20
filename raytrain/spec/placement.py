"""How many workers fit into what a cluster's nodes have. Pure; a worker never spans two nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from raytrain.spec.job import ScalingSpec

# Ray counts resources in ten-thousandths.
LITTLE = 1e-4


def needs_of(scaling: ScalingSpec) -> dict[str, float]:
    """What one worker takes, in Ray's names."""
    needs = {"CPU": scaling.cpus_per_worker, "GPU": scaling.gpus_per_worker, **scaling.resources_per_worker}
    return {name: amount for name, amount in needs.items() if amount > 0}


def needs_in_words(needs: Mapping[str, float], workers: int = 1) -> str:
    """`4 CPU, 2 GPU`."""
    return ", ".join(f"{amount * workers:g} {name}" for name, amount in needs.items())


def room(nodes: Iterable[Mapping[str, float]], needs: Mapping[str, float]) -> list[int]:
    """For each node, how many workers with these needs it holds."""
    return [min(int((node.get(name, 0.0) + LITTLE) / amount) for name, amount in needs.items()) for node in nodes]
