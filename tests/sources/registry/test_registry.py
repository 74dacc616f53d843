"""The registry's tables: what they say, and how they are read out of a release's source."""

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from skyserve_llm.errors import InputError
from skyserve_llm.sources import registry
from skyserve_llm.sources.hub import bundled_models
from skyserve_llm.sources.model.families import FAMILIES
from skyserve_llm.sources.registry import architecture_support, nested_defaults
from skyserve_llm.sources.registry.generate.__main__ import build
from skyserve_llm.sources.registry.generate.source import version
from skyserve_llm.sources.registry.read import quantization_methods

LLAMA = next(m for m in bundled_models() if m.id == "meta-llama/Llama-3.1-8B-Instruct")

VLLM = {
    "vllm-9.8.7.dist-info/METADATA": """\
        Name: vllm
        Requires-Dist: vllm-gguf-plugin>=1; extra == "extra-quant"
        """,
    "vllm/model_executor/models/registry.py": """\
        _TEXT_GENERATION_MODELS = {
            "DenseForCausalLM": ("dense", "DenseForCausalLM"),
            "SparseForCausalLM": ("sparse", "SparseForCausalLM"),
            "BuiltOnSparseForCausalLM": ("built", "BuiltOnSparseForCausalLM"),
            "ElsewhereForCausalLM": ("vllm.models.elsewhere", "ElsewhereForCausalLM"),
        }
        _EMBEDDING_MODELS = {
            "DenseModel": ("dense", "DenseModel"),
            **{name: value for name, value in _TEXT_GENERATION_MODELS.items()},
        }
        _TRANSFORMERS_SUPPORTED_MODELS = {
            "TinyForCausalLM": ("transformers", "TransformersForCausalLM"),
        }
        _PREVIOUSLY_SUPPORTED_MODELS = {"OldForCausalLM": "0.1.0"}
        """,
    "vllm/model_executor/models/dense.py": """\
        class DenseLayer(Module):
            def __init__(self):
                self.self_attn = Attention()
                self.register_buffer("layer_scalar", ones(1))
        """,
    "vllm/model_executor/models/sparse.py": """\
        class SparseForCausalLM(Module):
            def __init__(self, config):
                self.block_sparse_moe = Experts(config.num_local_experts)
        """,
    "vllm/model_executor/models/built.py": """\
        from .sparse import SparseForCausalLM

        class BuiltOnSparseForCausalLM(SparseForCausalLM):
            renamed = {"model.mixer.": "model.self_attn."}
        """,
    "vllm/models/elsewhere/__init__.py": "",
    "vllm/models/elsewhere/model.py": """\
        class ElsewhereForCausalLM(Module):
            def __init__(self, config):
                self.number = config.n_routed_experts
        """,
    "vllm/model_executor/layers/quantization/__init__.py": """\
        def get():
            method_to_config: dict = {"awq": AWQConfig, "odd": OddConfig}
        """,
    "vllm/model_executor/layers/quantization/awq.py": """\
        class AWQConfig(QuantizationConfig):
            @classmethod
            def get_min_capability(cls):
                return 75
        """,
    "vllm/transformers_utils/config.py": "_CONFIG_REGISTRY = Lazy(own_type='OwnConfig')",
}
TRANSFORMERS = {
    "transformers-5.4.3.dist-info/METADATA": "Name: transformers",
    "transformers/models/auto/auto_mappings.py": """\
        CONFIG_MAPPING_NAMES = OrderedDict([("tiny", "TinyConfig"), ("gemma3_text", "TextConfig")])
        """,
    "transformers/models/auto/configuration_auto.py": """\
        CONFIG_MAPPING_NAMES.update({"added": "AddedConfig"})
        """,
    "transformers/models/auto/modeling_auto.py": """\
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES = OrderedDict(
            [("tiny", "TinyForCausalLM"), ("old", "OwnAttentionForCausalLM"), ("new", "NewLM")]
        )
        """,
    "transformers/models/tiny/modeling_tiny.py": """\
        class TinyAttention(nn.Module):
            def forward(self):
                self.dense = nn.Linear()
                ALL_ATTENTION_FUNCTIONS.get_interface(x)

        class TinyForCausalLM(Base):
            pass

        class NewLM(Base):
            pass
        """,
    "transformers/models/old/modeling_old.py": """\
        class OldAttention(nn.Module):
            pass

        class OwnAttentionForCausalLM(Base):
            pass
        """,
    "transformers/models/gemma3/configuration_gemma3.py": """\
        class Parent(PreTrainedConfig):
            vocab_size: int = 7

        class TextConfig(Parent):
            model_type = "gemma3_text"
            hidden_size: int = 32 * 2
            head_dim: int | None = None
            attention_dropout: float = 0.0
        """,
}  # fmt: skip


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """Two wheels' worth of source, as small as the rules that read it."""
    for name, text in (VLLM | TRANSFORMERS).items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")
    return tmp_path


def test_a_releases_source_becomes_tables(unpacked: Path) -> None:
    tables = build(unpacked, unpacked)
    vllm = tables["vllm.json"]
    assert (vllm["vllm_version"], vllm["transformers_version"]) == ("9.8.7", "5.4.3")
    assert vllm["architectures"] == {
        "BuiltOnSparseForCausalLM": {"kind": "text", "experts": True},
        "DenseForCausalLM": {"kind": "text", "experts": False},
        "DenseModel": {"kind": "pooling"},
        "ElsewhereForCausalLM": {"kind": "text", "experts": True},
        "NewLM": {"kind": "compatible", "model_types": ["new"]},
        "OwnAttentionForCausalLM": {"kind": "foreign", "model_types": ["old"]},
        "SparseForCausalLM": {"kind": "text", "experts": True},
        "TinyForCausalLM": {"kind": "transformers", "model_types": ["tiny"], "experts": False},
    }
    assert vllm["model_types"] == ["added", "gemma3_text", "own_type", "tiny"]
    assert vllm["quantization"] == {"awq": 75, "odd": None}
    assert vllm["quantization_extras"] == {"gguf": "extra-quant"}
    assert vllm["dropped"] == {"OldForCausalLM": "0.1.0"}
    modules = tables["modules.json"]["modules"]
    assert modules["DenseForCausalLM"] == "layer_scalar self_attn"
    assert {"mixer", "self_attn", "block_sparse_moe"} <= set(
        modules["BuiltOnSparseForCausalLM"].split()
    )
    assert tables["defaults.json"]["defaults"] == {
        "gemma3_text": {"hidden_size": 64, "model_type": "gemma3_text", "vocab_size": 7}
    }


def test_the_command_writes_the_tables(unpacked: Path) -> None:
    command = [sys.executable, "-m", "skyserve_llm.sources.registry.generate", str(unpacked)]
    subprocess.run([*command, "--out", str(unpacked)], check=True)
    for name, table in build(unpacked, unpacked).items():
        assert json.loads((unpacked / name).read_text(encoding="utf-8")) == table


def test_a_folder_that_is_no_wheel_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds 0 vllm-\*\.dist-info folders"):
        version(tmp_path, "vllm")
    command = [sys.executable, "-m", "skyserve_llm.sources.registry.generate", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")


def test_the_shipped_tables_are_of_one_pair_of_releases() -> None:
    folder = Path(registry.__file__).parent
    tables = [json.loads(file.read_text("utf-8")) for file in folder.glob("*.json")]
    assert len(tables) == 3
    assert {(t["vllm_version"], t["transformers_version"]) for t in tables} == {
        ("0.32.0", "5.19.0")
    }


def test_the_shipped_tables_know_what_is_well_known() -> None:
    phi = architecture_support(LLAMA._replace(architecture="PhiForCausalLM"))
    assert (phi.kind, phi.model_types, phi.experts) == ("transformers", ("phi",), False)
    mixtral = architecture_support(LLAMA._replace(architecture="MixtralForCausalLM"))
    assert (mixtral.kind, mixtral.experts) == ("text", True)
    assert quantization_methods()["awq"] == 75
    assert "bitsandbytes" not in quantization_methods()


def test_nested_defaults_are_of_families_that_we_count() -> None:
    assert nested_defaults("gemma3_text")["num_attention_heads"] == 8
    assert nested_defaults("gemma3/text_config") == nested_defaults("gemma3_text")
    assert nested_defaults("nonesuch") == {}
    assert {"llama", "mistral", "qwen2"} <= set(FAMILIES)
