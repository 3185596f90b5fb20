"""What the facts of nodes mean."""

from __future__ import annotations

from dataclasses import replace

from raytrain.doctor_protocol import Finding, finding_of
from raytrain.driver import cluster_findings
from raytrain.driver.node_probe import NodeFacts

VERSIONS = {"python": "3.11.7", "ray": "2.60.0", "tensorflow": "2.21.0", "keras": "3.15.1", "pyarrow": "23.0.0"}
ONE = NodeFacts(host="a", versions=VERSIONS, seen_gpus=None, clock=0.0, disk_free=50 * 2**30, memory_free=8 * 2**30)
TWO = replace(ONE, host="b")


def test_a_finding_survives_the_log() -> None:
    finding = Finding(check="gpus", state="fail", says="Ray counts 1\nTensorFlow sees 0", fix="…")

    assert finding_of(finding.to_line()) == finding
    assert "\n" not in finding.to_line()
    assert finding_of("some other line") is None
    assert finding_of("raytrain-doctor: {]") is None


def test_versions() -> None:
    assert cluster_findings.versions([ONE, TWO]).state == "ok"
    other = replace(TWO, versions=VERSIONS | {"keras": "3.14.0"})
    found = cluster_findings.versions([ONE, other])
    assert (found.state, found.says) == ("fail", "keras 3.15.1 on a, 3.14.0 on b")
    lacking = replace(TWO, versions=VERSIONS | {"tensorflow": "none"})
    assert cluster_findings.versions([ONE, lacking]).says == "no tensorflow on b"


def test_gpus() -> None:
    seeing, blind = replace(ONE, seen_gpus=2), replace(TWO, seen_gpus=0)
    assert cluster_findings.gpus([ONE, TWO], {"a": 0.0, "b": 0.0}).state == "skip"
    assert cluster_findings.gpus([seeing], {"a": 2.0}).state == "ok"
    assert cluster_findings.gpus([seeing], {"a": 0.0}).state == "warn"
    found = cluster_findings.gpus([seeing, blind], {"a": 2.0, "b": 1.0})
    assert (found.state, found.says) == ("fail", "b: Ray counts 1, TensorFlow sees 0")


def test_clocks_and_room() -> None:
    assert cluster_findings.clocks({"a": 0.0, "b": -2.0}).state == "ok"
    assert cluster_findings.clocks({"a": 0.0, "b": -60.0}).says.endswith("behind")
    assert cluster_findings.room([ONE, TWO]).state == "ok"
    full = cluster_findings.room([ONE, replace(TWO, disk_free=2**20, memory_free=2**20)])
    assert full.state == "warn" and "disk on b" in full.says and "shared memory on b" in full.says


def test_storage() -> None:
    assert cluster_findings.storage("/nfs", {"a": "", "b": ""}, {"a": [], "b": []}).state == "ok"
    refused = cluster_findings.storage("/nfs", {"a": "", "b": "PermissionError: denied"}, {})
    assert refused.state == "fail" and "b cannot write it: PermissionError" in refused.says
    apart = cluster_findings.storage("/home", {"a": "", "b": ""}, {"a": ["b"], "b": ["a"]})
    assert apart.state == "fail" and "a does not see what b wrote" in apart.says


def test_ports_and_sums() -> None:
    assert cluster_findings.ports({"a": []}).state == "skip"
    assert cluster_findings.ports({"a": [], "b": []}).state == "ok"
    assert "b does not reach a:99" in cluster_findings.ports({"a": [], "b": ["a:99 (refused)"]}).says
    assert cluster_findings.sums({"a": "", "b": ""}).state == "ok"
    assert cluster_findings.sums({"a": "", "b": "no sum within 9 s"}).says == "b: no sum within 9 s"
