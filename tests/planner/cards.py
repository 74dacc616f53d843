"""A few cards and models to plan with, in the units of ``types``."""

from datetime import date
from decimal import Decimal

from skyserve_llm.sources.hub import bundled_models
from skyserve_llm.types import GpuSpec, Offer

MODELS = {model.id: model for model in bundled_models()}
PHIXTRAL = MODELS["mlabonne/phixtral-4x2_8"]
LLAMA_8B = MODELS["meta-llama/Llama-3.1-8B-Instruct"]
MIXTRAL = MODELS["mistralai/Mixtral-8x7B-v0.1"]
MIXTRAL_AWQ = MODELS["TheBloke/Mixtral-8x7B-Instruct-v0.1-AWQ"]


def card(
    name: str,
    memory_mib: int,
    bandwidth: float | None,
    tflops: float | None,
    capability: str = "8.9",
    *,
    bf16: bool = True,
) -> GpuSpec:
    return GpuSpec(
        name=name,
        memory_mib=memory_mib,
        bandwidth_gb_s=bandwidth,
        fp16_tflops=tflops,
        fp8_tflops=None,
        bf16=bf16,
        compute_capability=capability,
        link="PCIe4",
        link_gb_s=32.0,
    )


T4 = card("T4", 15360, 320, 65.1, "7.5", bf16=False)
L4 = card("L4", 23034, 300, 121)
A100 = card("A100", 40960, 1555, 312, "8.0")
A100_80GB = card("A100-80GB", 81920, 2039, 312, "8.0")
H200 = card("H200", 143771, 4800, 989, "9.0")
MI300X = card("MI300X", 196608, 5300, 1307, "gfx942")
CARDS = {gpu.name: gpu for gpu in (T4, L4, A100, A100_80GB, H200, MI300X)}


def offer(gpu: str, count: int, price: str, *, cloud: str = "gcp", spot: bool = False) -> Offer:
    return Offer(
        cloud=cloud,
        region="us-central1",
        zone="us-central1-a",
        instance_type=f"{gpu.lower()}-{count}",
        gpu=gpu,
        accelerator=gpu,
        gpu_count=count,
        spot=spot,
        price_per_hour=Decimal(price),
        as_of=date(2026, 1, 1),
        source="test",
    )
