"""The names that configs give to one and the same field: old ones, and each family's own.

Knows names only. ``config`` looks a field up under its present name, then under these.
"""

OLD_NAMES = {
    "hidden_size": ("n_embd", "d_model"),
    "intermediate_size": ("n_inner", "ffn_dim", "ffn_hidden_size", "block_ff_dim"),
    "num_hidden_layers": ("n_layer", "n_layers", "num_layers"),
    "num_attention_heads": ("n_head", "n_heads"),
    "num_key_value_heads": ("n_head_kv", "num_kv_heads", "num_attention_groups"),
    "num_experts": ("num_local_experts", "n_routed_experts", "moe_num_experts"),
    "num_experts_per_tok": (
        "num_experts_per_token", "top_k_experts", "moe_topk", "moe_top_k", "moe_k",
    ),
    "n_shared_experts": ("num_shared_experts", "moe_num_shared_experts", "num_shared_expert"),
    "shared_expert_intermediate_size": (
        "shared_intermediate_size", "moe_shared_expert_intermediate_size",
    ),
    "first_k_dense_replace": ("num_dense_layers",),
    "layer_types": ("layers_block_type",),
    "torch_dtype": ("dtype",),
    "mamba_num_heads": ("mamba_n_heads",),
    "mamba_head_dim": ("mamba_d_head",),
    "ssm_state_size": ("mamba_d_state",),
    "n_groups": ("mamba_n_groups",),
    "conv_kernel": ("mamba_d_conv",),
}  # fmt: skip

CONTEXT_NAMES = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "max_target_positions",
    "max_sequence_length",
    "max_seq_length",
    "seq_len",
)
"""Where a context length may stand (vllm/transformers_utils/model_arch_config_convertor.py,
``derive_max_model_len_and_key``): the least of them counts, but ``model_max_length`` beats all."""

OWN_NAMES: dict[str, dict[str, str]] = {
    "bloom": {"hidden_size": "n_embed"},
    "chatglm": {
        "num_key_value_heads": "multi_query_group_num",
        "head_dim": "kv_channels",
        "vocab_size": "padded_vocab_size",
    },
    "dbrx": {
        "num_key_value_heads": "attn_config.kv_n_heads",
        "intermediate_size": "ffn_config.ffn_hidden_size",
        "num_experts": "ffn_config.moe_num_experts",
        "num_experts_per_tok": "ffn_config.moe_top_k",
    },
    "kimi_k25_vision": {
        "hidden_size": "vt_hidden_size",
        "intermediate_size": "vt_intermediate_size",
        "num_hidden_layers": "vt_num_hidden_layers",
        "num_attention_heads": "vt_num_attention_heads",
        "pos_emb_height": "init_pos_emb_height",
        "pos_emb_width": "init_pos_emb_width",
    },
}
"""A family's own name for a field; a dot leads into a nested object."""
