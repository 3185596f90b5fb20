"""Predicts an epoch's time on other numbers of workers from one that was measured.

A step is what each worker computes on its part of the batch, then a ring all-reduce of the gradients; nothing of the
one is hidden behind the other, so the prediction errs on the slow side. Data is assumed to be there in time.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Link:
    """What the workers are connected by.

    Attributes:
        latency_s: of one message between two neighbours of the ring.
        bytes_per_s: what one worker sends while it receives as much.
    """

    name: str
    latency_s: float
    bytes_per_s: float


# Fitted to all-reduces of 10 and of 38,410 floats between two processes of a two-core machine: 0.8 and 1.4 ms.
ONE_MACHINE = Link(name="gRPC within one machine", latency_s=4e-4, bytes_per_s=250e6)
# 25 Gbit/s Ethernet, as the published figures that this was checked against; the latency is NCCL's order of magnitude.
NETWORK = Link(name="NCCL over 25 Gbit/s", latency_s=5e-5, bytes_per_s=3.125e9)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A run that was timed. `epoch_s`: of an epoch after the first."""

    workers: int
    steps: int
    epoch_s: float
    gradient_bytes: int


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """`efficiency`: the speed-up over one worker, divided by the number of workers."""

    workers: int
    epoch_s: float
    efficiency: float


def predict(measured: Measured, workers: int, link: Link) -> Prediction:
    """The epoch's time on `workers` workers, the global batch kept."""
    exchange_s = measured.steps * all_reduce_s(measured.gradient_bytes, measured.workers, link)
    alone_s = max(measured.epoch_s - exchange_s, 0.05 * measured.epoch_s) * measured.workers
    epoch_s = alone_s / workers + measured.steps * all_reduce_s(measured.gradient_bytes, workers, link)
    return Prediction(workers=workers, epoch_s=epoch_s, efficiency=alone_s / (epoch_s * workers))


def all_reduce_s(message_bytes: int, workers: int, link: Link) -> float:
    """A ring all-reduce: 2(n-1) messages of an n-th each (Patarasuk and Yuan 2009)."""
    messages = 2 * (workers - 1)
    return messages * (link.latency_s + message_bytes / workers / link.bytes_per_s)
