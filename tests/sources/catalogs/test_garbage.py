"""A file that is no catalog, or has something in a cell that cannot be there, is refused whole."""

from pathlib import Path

import pytest

from skyserve_llm.errors import DataError
from skyserve_llm.sources.catalogs.skypilot import read_catalog

HEADER = (
    "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,Region,GpuInfo,SpotPrice"
)
GOOD = "gpu_1x_a10,A10,1,30,200,0.75,us-east-1,,"


def read(folder: Path, content: bytes):
    path = folder / "vms.csv"
    path.write_bytes(content)
    return read_catalog(path, "lambda", "skypilot-catalog v8/lambda/vms.csv", "", "lambda/vms.csv")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("gpu_1x_a10,A10,1,30,200,cheap,us-east-1,,", "column Price: 'cheap' is not a price"),
        ("gpu_1x_a10,A10,1,30,200,$0.75,us-east-1,,", "column Price: '$0.75' is not a price"),
        ("gpu_1x_a10,A10,1,30,200,-0.75,us-east-1,,", "column Price: '-0.75' is not a price"),
        ("gpu_1x_a10,A10,1,30,200,nan,us-east-1,,", "column Price: 'nan' is not a price"),
        ("gpu_1x_a10,A10,1,30,200,0.75,us-east-1,,inf", "column SpotPrice: 'inf' is not a price"),
        ("gpu_1x_a10,A10,one,30,200,0.75,us-east-1,,", "column AcceleratorCount: 'one' is not a"),
        ("gpu_1x_a10,A10,-1,30,200,0.75,us-east-1,,", "column AcceleratorCount: '-1' is not a"),
        ("cpu,,,many,200,0.75,us-east-1,,", "column vCPUs: 'many' is not a number"),
        ("cpu,,,4,200,0,75,us-east-1,,", "10 cells, expected 9"),
        ("%PDF-1.7", "1 cells, expected 9"),
    ],
)
def test_a_row_of_garbage_is_told_by_its_line(tmp_path: Path, row: str, why: str):
    with pytest.raises(DataError) as caught:
        read(tmp_path, f"{HEADER}\n{GOOD}\n{row}\n{GOOD}\n".encode())
    assert caught.value.message.startswith(f"lambda/vms.csv, line 3: {why}")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no column InstanceType in its first line, ''"),
        (b"<!DOCTYPE html><html><body>Not what you want</body></html>", "'<!DOCTYPE html>"),
        (HEADER.replace("SpotPrice", "Spot").encode(), "no column SpotPrice in its first line"),
        (b"cloud,region,zone\naws,us-east-1,\n", "no column InstanceType"),
        (HEADER.encode() + b"\n\xff\xfe\n", "is no CSV in UTF-8"),
        (HEADER.encode() + b'\n"gpu_1x_a10,A10', "is no CSV in UTF-8: unexpected end of data"),
        (HEADER.encode() + b"\n" + b"\0" * 40, "line 2: 1 cells, expected 9"),
    ],
)
def test_what_is_no_catalog_is_refused_in_one_line(tmp_path: Path, content: bytes, why: str):
    with pytest.raises(DataError) as caught:
        read(tmp_path, content)
    assert why in caught.value.message
    assert caught.value.message.startswith("lambda/vms.csv")
    assert len(caught.value.message) < 200


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(DataError, match=r"cannot read .*nowhere\.csv: No such file"):
        read_catalog(tmp_path / "nowhere.csv", "lambda", "", "", "lambda/vms.csv")


def test_a_cloud_that_has_nothing_on_offer_is_no_mistake(tmp_path: Path):
    got = read(tmp_path, f"{HEADER}\n".encode())
    assert (got.offers, got.rows) == ([], 0)


def test_columns_that_others_have_are_not_needed(tmp_path: Path):
    header = "Price,Region,SpotPrice,AcceleratorCount,AcceleratorName,InstanceType"
    (offer,) = read(tmp_path, f"{header}\n0.75,us-east-1,,1.0,A10,gpu_1x_a10\n".encode()).offers
    assert (offer.instance_type, offer.gpu_count, offer.price, offer.zone) == (
        "gpu_1x_a10",
        "1",
        "0.75",
        "",
    )


def test_a_byte_order_mark_is_no_part_of_a_column(tmp_path: Path):
    assert read(tmp_path, b"\xef\xbb\xbf" + f"{HEADER}\n{GOOD}\n".encode()).rows == 1
