"""What one GPU holds, whatever a cloud's catalog means by ``SizeInMiB``."""

import pytest

from skyserve_llm.sources.catalogs.gpu_info import gpu_mib


@pytest.mark.parametrize(
    ("cloud", "info", "count", "mib"),
    [
        ("aws", "{'Gpus': [{'Name': 'L4', 'MemoryInfo': {'SizeInMiB': 22888}}]}", "8", 22888),
        ("verda", '{"Gpus": [{"MemoryInfo": {"SizeInMiB": 81920}}]}', "4", 81920),
        ("primeintellect", '{"Gpus":[{"Count":8,"MemoryInfo":{"SizeInMiB":655360}}]}', "8", 81920),
        ("vast", "{'Gpus': [{'Count': 2, 'MemoryInfo': {'SizeInMiB': 287542}}]}", "2", 143771),
        ("vast", "{'Gpus': [{'MemoryInfo': {'SizeInMiB': 1000}}]}", "", 1024000),
        ("runpod", "{'Gpus': [{'MemoryInfo': {'SizeInMiB': 80}}], 'Total': 160}", "2", 81920),
        ("shadeform", "{'Gpus': [{'MemoryInfo': {'SizeInMiB': 141}}]}", "8", 144384),
        ("azure", "A100-80GB", "1", None),
        ("seeweb", "{'Gpus': [{'MemoryInfo': {'SizeInMiB': 0}}]}", "1", None),
        ("lambda", "", "1", None),
    ],
)
def test_memory_of_one_gpu(cloud: str, info: str, count: str, mib: int | None):
    assert gpu_mib(cloud, info, count) == mib
