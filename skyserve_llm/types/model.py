"""What a planner must know of a model, and of the engine that serves it."""

from typing import Literal, NamedTuple

EngineName = Literal["vllm", "transformers", "simulated"]


class AttentionLayers(NamedTuple):
    """``layers`` layers that keep the same state for a token.

    ``full``, ``sliding`` and ``chunked`` cache K and V (``kv_heads`` x ``head_dim`` each), the
    latter two of no more than ``window`` tokens; ``mla`` caches one latent of ``latent_dim``
    values that no rank can split, and ``index`` as many bytes of a sparse attention's key;
    ``state`` keeps ``state_values`` numbers for a request, however long (state-space and linear
    attention), ``wide_values`` of them in float32 and the others in the model's dtype.
    """

    kind: Literal["full", "sliding", "chunked", "mla", "index", "state"]
    layers: int
    kv_heads: int = 0
    head_dim: int = 0
    window: int = 0
    latent_dim: int = 0
    state_values: int = 0
    wide_values: int = 0


class Dimensions(NamedTuple):
    """How wide a token is on its way through a model: what activations are made of.

    Numbers of values for one token, the widest over all layers, before they are split over
    ranks. ``query`` and ``output`` go into and come out of attention; ``key_value`` is K and V
    together. ``mlp`` is what a dense MLP holds at its peak (gate, up and their product; the inner
    layer and its activation where there is no gate), ``shared`` the same of the shared experts,
    ``expert`` one routed expert's inner width. ``latent_context`` is K and V of one token expanded
    from a latent (MLA), ``latent_rank`` that latent's own width without its rotary part.
    ``rope_cache_values`` is not of a token but of the whole model: its table of rotary cosines.
    The largest image makes ``image_tokens`` of the language model's, and a vision tower holds
    ``image_hidden`` values for one of them whole on every rank and ``image_inner`` that are split;
    0 where there is no tower, or none whose rules are known.
    """

    query: int = 0
    output: int = 0
    key_value: int = 0
    mlp: int = 0
    expert: int = 0
    shared: int = 0
    latent_context: int = 0
    latent_rank: int = 0
    rope_cache_values: int = 0
    image_tokens: int = 0
    image_hidden: int = 0
    image_inner: int = 0


class ParameterCounts(NamedTuple):
    """How many weights a model has, by how they are split over ranks and quantized.

    ``embedding`` and ``lm_head`` split over ranks but stay in 16 bits; ``attention``, ``mlp``,
    ``shared_experts`` and ``experts`` split and quantize; ``kv_projection`` splits no further
    than the KV heads; ``replicated`` (norms, routers, MLA down-projections) stands whole on
    every rank. ``lm_head`` is 0 where it is tied to the embedding; ``vision`` is a tower that
    vLLM loads with the language model, 0 where there is none or its size is not known.
    """

    embedding: int
    lm_head: int
    attention: int
    kv_projection: int
    mlp: int
    experts: int
    shared_experts: int
    replicated: int
    vision: int = 0

    @property
    def total(self) -> int:
        return (
            self.embedding
            + self.lm_head
            + self.attention
            + self.kv_projection
            + self.mlp
            + self.experts
            + self.shared_experts
            + self.replicated
            + self.vision
        )


class Quantization(NamedTuple):
    """How a checkpoint's linear weights are stored: ``awq`` 4 bits in groups of 128, …

    ``experts_only`` where attention, dense and shared layers stay in 16 bits (gpt-oss, Kimi),
    ``skips_attention`` where only attention does (Llama 3.1's own fp8).
    """

    method: str
    bits: int
    group_size: int | None = None
    experts_only: bool = False
    skips_attention: bool = False


class ModelSpec(NamedTuple):
    """What a planner must know of a model, from its config and nothing else.

    ``feed_forward_width`` is the widest inner layer a token passes through at once: a dense
    MLP's, or that of all the experts it is routed to. ``max_new_tokens`` is where the model's
    generation config ends an answer whose request names no end, ``custom_code`` that the
    repository brings model classes of its own (``auto_map``). ``default_max_model_len`` is the
    context vLLM serves unless told, where that is less than the model could (LongRoPE). Only where
    the weights' own metadata were at hand: ``checkpoint_bytes``, what the tensors that a server
    loads take as stored, and ``tensor_modules``, the names those tensors' layers go by
    (``layers.self_attn``).
    """

    id: str
    revision: str | None
    architecture: str
    model_type: str
    dtype: str
    quantization: Quantization | None
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    vocab_size: int
    max_position_embeddings: int
    feed_forward_width: int
    attention: tuple[AttentionLayers, ...]
    parameters: ParameterCounts
    source: str
    num_experts: int = 0
    num_experts_per_tok: int = 0
    max_new_tokens: int | None = None
    custom_code: bool = False
    checkpoint_bytes: int | None = None
    tensor_modules: tuple[str, ...] = ()
    default_max_model_len: int | None = None
    dimensions: Dimensions = Dimensions()

    @property
    def active_parameters(self) -> int:
        """Weights one token passes through: all but the experts it is not routed to."""
        if not self.num_experts:
            return self.parameters.total
        idle = self.num_experts - self.num_experts_per_tok
        return self.parameters.total - self.parameters.experts * idle // self.num_experts


class Variant(NamedTuple):
    """A repository with the same weights quantized, and where that is known from."""

    repository: str
    quantization: Quantization
    source: str


class Served(NamedTuple):
    """What would be loaded: a checkpoint as it is, or something smaller in its place.

    ``altered`` says how it differs from what was asked for, None where it does not; ``repository``
    is what to load where that is not the model's own.
    """

    model: ModelSpec
    repository: str | None = None
    altered: str | None = None


class ArchitectureSupport(NamedTuple):
    """What a release of vLLM, and of transformers under it, knows of one model's architecture.

    ``kind``: ``text`` and ``multimodal`` are classes of vLLM's own, ``pooling`` and ``draft`` too
    but not to chat with; ``transformers`` its registry hands to the Transformers backend;
    ``compatible`` is a transformers class which that backend may run and ``foreign`` one which it
    cannot; ``unknown`` is in neither library. ``model_types`` are those transformers gives the
    architecture (empty: it does not know it), ``experts`` whether the class reads a number of
    experts (None: not told), ``modules`` the names it gives to parts of a model (empty: not told).
    ``quantization_extra`` is the extra of vLLM's that brings a method which it has not itself.
    """

    vllm_version: str
    kind: Literal[
        "text", "multimodal", "pooling", "draft", "transformers", "compatible", "foreign", "unknown"
    ]
    model_types: tuple[str, ...] = ()
    experts: bool | None = None
    modules: frozenset[str] = frozenset()
    model_type_known: bool = True
    quantization_known: bool = True
    quantization_extra: str | None = None
    last_version: str | None = None
    plugin: str | None = None


class EngineChoice(NamedTuple):
    """Which engine serves the model, and why that one. None: none of ours does.

    ``trust_remote_code`` where it must run code from the model's repository.
    """

    name: EngineName | None
    reason: str
    trust_remote_code: bool = False
