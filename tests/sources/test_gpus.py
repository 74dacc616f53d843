"""GPU facts out of a table."""

from pathlib import Path

import pytest

from skyserve_llm.errors import DataError
from skyserve_llm.sources.gpus import COLUMNS, load_gpus
from skyserve_llm.types import GpuSpec

L4 = "L4,23034,300,121,242,1,8.9,PCIe4,32,measured,yes"
V100 = "V100,16384,897,,,0,7.0,NVLink2,,somewhere,partial"


def table(folder: Path, *rows: str) -> Path:
    path = folder / "gpus.csv"
    path.write_text("\n".join((",".join(COLUMNS), *rows)) + "\n", encoding="utf-8")
    return path


def test_reads_facts_and_leaves_unknown_ones_unknown(tmp_path: Path):
    gpus = load_gpus(table(tmp_path, L4, V100))

    assert list(gpus) == ["L4", "V100"]
    assert gpus["L4"] == GpuSpec(
        name="L4",
        memory_mib=23034,
        bandwidth_gb_s=300.0,
        fp16_tflops=121.0,
        fp8_tflops=242.0,
        bf16=True,
        compute_capability="8.9",
        link="PCIe4",
        link_gb_s=32.0,
    )
    assert gpus["V100"].fp16_tflops is None
    assert gpus["V100"].link_gb_s is None
    assert not gpus["V100"].bf16


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [
        ("L4,,300,121,242,1,8.9,PCIe4,32,s,yes", "memory_mib", "''"),
        ("L4,0,300,121,242,1,8.9,PCIe4,32,s,yes", "memory_mib", "'0'"),
        ("L4,24 GB,300,121,242,1,8.9,PCIe4,32,s,yes", "memory_mib", "'24 GB'"),
        ("L4,23034,fast,121,242,1,8.9,PCIe4,32,s,yes", "bandwidth_gb_s", "'fast'"),
        ("L4,23034,300,nan,242,1,8.9,PCIe4,32,s,yes", "fp16_tflops", "'nan'"),
        ("L4,23034,300,121,-1,1,8.9,PCIe4,32,s,yes", "fp8_tflops", "'-1'"),
        ("L4,23034,300,121,242,yes,8.9,PCIe4,32,s,yes", "bf16", "'yes'"),
        ("L4,23034,300,121,242,1,,PCIe4,32,s,yes", "compute_capability", "''"),
        ("L4,23034,300,121,242,1,8.9,PCIe4,inf,s,yes", "link_gb_s", "'inf'"),
        (",23034,300,121,242,1,8.9,PCIe4,32,s,yes", "name", "''"),
        (V100, "name", "'V100'"),
    ],
)
def test_a_broken_row_is_told_by_line_column_and_value(
    tmp_path: Path, row: str, column: str, value: str
):
    path = table(tmp_path, V100, row)
    with pytest.raises(DataError) as caught:
        load_gpus(path)
    assert caught.value.message.startswith(f"{path}, line ")
    assert f"column {column}: {value}" in caught.value.message
