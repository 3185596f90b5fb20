from __future__ import annotations

from raytrain.spec.job import ScalingSpec
from raytrain.spec.placement import needs_in_words, needs_of, room


def test_needs_leave_out_what_is_not_asked_for() -> None:
    needs = needs_of(ScalingSpec(workers=2, cpus_per_worker=1.5, resources_per_worker={"FPGA": 1}))
    assert needs == {"CPU": 1.5, "FPGA": 1}
    assert needs_in_words(needs) == "1.5 CPU, 1 FPGA"
    assert needs_in_words(needs, 2) == "3 CPU, 2 FPGA"


def test_a_worker_never_spans_two_nodes() -> None:
    nodes = [{"CPU": 3.0}, {"CPU": 1.0, "GPU": 4.0}, {"CPU": 4.0, "GPU": 1.0}, {}]
    assert room(nodes, {"CPU": 2.0}) == [1, 0, 2, 0]
    assert room(nodes, {"CPU": 1.0, "GPU": 0.5}) == [0, 1, 2, 0]


def test_ten_tenths_are_a_whole() -> None:
    assert room([{"CPU": 0.9999999}], {"CPU": 0.1}) == [10]
