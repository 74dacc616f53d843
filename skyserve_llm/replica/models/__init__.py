"""Networks that vLLM does not know, written on its layers: each folder is a plugin of vLLM's."""
