"""Tests of the zip files: the same content gives the same name, whatever the clock and the machine."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from raytrain.client.upload.package import Package, pack_job, pack_raytrain
from raytrain.client.upload.upload_plan import UploadFile, UploadPlan, list_upload
from raytrain.errors import SpecError
from tests.conftest import MakeFolder


def names(package: Package) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(package.content)).namelist()


def test_the_name_depends_on_content_alone(make_folder: MakeFolder) -> None:
    folder = make_folder({"b.py": "x", "a/c.py": "y"})
    first = pack_job(list_upload(folder), [(".raytrain/job.json", b"{}")])
    os.utime(folder / "b.py", (1, 1))
    again = pack_job(list_upload(folder), [(".raytrain/job.json", b"{}")])
    other = pack_job(list_upload(folder), [(".raytrain/job.json", b"{ }")])

    assert first == again
    assert first.uri != other.uri
    assert names(first) == [".raytrain/job.json", "a/c.py", "b.py"]


def test_ray_takes_the_name_for_that_of_a_zip_in_its_store(make_folder: MakeFolder) -> None:
    uri = pack_job(list_upload(make_folder({"a": "x"})), []).uri

    assert uri.startswith("gcs://_ray_pkg_")
    assert uri.endswith(".zip")


def test_whether_a_file_can_be_executed_travels(make_folder: MakeFolder) -> None:
    folder = make_folder({"run.sh": "", "data.txt": ""})
    (folder / "run.sh").chmod(0o700)
    archive = zipfile.ZipFile(io.BytesIO(pack_job(list_upload(folder), []).content))
    modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}

    assert modes == {"data.txt": 0o644, "run.sh": 0o755}


def test_a_file_that_went_away_is_a_problem_of_the_job(tmp_path: Path) -> None:
    plan = UploadPlan(files=(UploadFile(path="gone.py", source=tmp_path / "gone.py", bytes=1),))

    with pytest.raises(SpecError, match=r"gone\.py"):
        pack_job(plan, [])


def test_raytrain_itself_stands_at_the_top() -> None:
    package = pack_raytrain()
    packed = names(package)

    assert {name.split("/")[0] for name in packed} == {"raytrain"}
    assert {"raytrain/__init__.py", "raytrain/client/upload/package.py", "raytrain/spec/job.py"} <= set(packed)
    assert not [name for name in packed if "__pycache__" in name or name.endswith(".pyc")]
    assert package == pack_raytrain()
    assert len(package.content) < 2**20
