"""What lies in a folder of catalogs, and how old it is."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from skyserve_llm.errors import InputError
from skyserve_llm.sources.catalogs.folder import find_catalogs
from skyserve_llm.sources.clouds import load_clouds

CLOUDS = load_clouds()
REAL = Path(__file__).with_name("real")
GPUHUNT = "instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot,disk_size\n"


def lay_out(folder: Path, *clouds: str) -> Path:
    for cloud in clouds:
        path = folder / cloud / "vms.csv"
        path.parent.mkdir(parents=True)
        path.write_text("InstanceType\n", encoding="utf-8")
    return folder


def test_the_folder_skypilot_leaves_behind(tmp_path: Path):
    lay_out(tmp_path / "v8", "aws", "jarvislabs", "nocloud")
    lay_out(tmp_path / "v7", "gcp")
    (tmp_path / "v8" / ".meta").mkdir()
    moment = datetime(2026, 10, 5, 1, tzinfo=UTC).timestamp()
    os.utime(tmp_path / "v8" / "aws" / "vms.csv", (moment, moment))
    for given in (tmp_path, tmp_path / "v8"):
        found = find_catalogs(given, CLOUDS)
        assert [(one.cloud, one.label) for one in found.catalogs] == [
            ("aws", "aws/vms.csv"),
            ("jarvis-labs", "jarvislabs/vms.csv"),
        ]
        assert found.strange == ["nocloud"]
        aws = found.catalogs[0]
        assert aws.as_of == "2026-10-05"
        assert aws.source == "~/.sky/catalogs v8/aws/vms.csv"
        assert aws.origin == str(tmp_path / "v8" / "aws" / "vms.csv")


def test_the_folder_of_gpuhunts_catalogs(tmp_path: Path):
    (tmp_path / "lambdalabs.csv").write_text(GPUHUNT, encoding="utf-8")
    (tmp_path / "crusoe.csv").write_text(GPUHUNT, encoding="utf-8")
    (tmp_path / "notes.csv").write_text("a,b\n", encoding="utf-8")
    found = find_catalogs(tmp_path, CLOUDS)
    assert [(one.cloud, one.source) for one in found.catalogs] == [
        ("lambda", "gpuhunt lambdalabs.csv")
    ]
    assert found.strange == ["crusoe"]


@pytest.mark.parametrize("name", ["", "empty", "file"])
def test_a_folder_with_nothing_in_it_is_told(tmp_path: Path, name: str):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    given = tmp_path / (name or "nowhere")
    with pytest.raises(InputError, match=r"no price catalogs in|is not a folder") as caught:
        find_catalogs(given, CLOUDS)
    assert str(given) in caught.value.message
    assert "--from takes" in str(caught.value.hint)


def test_each_hosted_cloud_has_one_folder():
    folders = [cloud.catalog for cloud in CLOUDS.values() if cloud.catalog]
    assert len(folders) == len(set(folders)) >= 24
    assert {path.stem for path in REAL.glob("*.csv")} <= set(folders)
