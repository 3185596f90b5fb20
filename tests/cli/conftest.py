"""Every test here has a state directory of its own, and none of the developer's settings."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raytrain.client.watch.GRACE_S", 0.5)  # a stand-in's log needs no time to come through
    monkeypatch.setenv("RAYTRAIN_STATE_DIR", str(tmp_path / "state"))
    for name in (
        "RAYTRAIN_ADDRESS",
        "RAYTRAIN_DEBUG",
        "RAY_ADDRESS",
        "RAY_API_SERVER_ADDRESS",
        "NO_COLOR",
        "FORCE_COLOR",
        "PY_COLORS",
        "GITHUB_ACTIONS",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A job that a stand-in cluster can take: three epochs, on data in the YAML itself."""
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "job.yaml").write_text(
        """\
name: tiny
model: {layers: [{Input: {shape: [1]}}, {Dense: {units: 1}}]}
compile: {optimizer: sgd, loss: mse}
data:
  train: {inline: {x: [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0], y: [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0]}}
  features: x
  label: y
fit: {epochs: 3, global_batch_size: 4}
scaling: {workers: 2}
"""
        + f"storage: {tmp_path / 'storage'}\n"
    )
    return folder
