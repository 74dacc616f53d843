"""No test may leave the machine: the Hub is at a port where nothing listens, unless a test says
otherwise, and nobody's token or downloads are touched. Set before huggingface_hub is imported,
which reads its environment once."""

import os
import tempfile

os.environ.update(
    HF_ENDPOINT="http://127.0.0.1:9",
    HF_HOME=tempfile.mkdtemp(prefix="llmbudget-hf-"),
    HF_HUB_DISABLE_TELEMETRY="1",
)
for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
    os.environ.pop(name, None)
