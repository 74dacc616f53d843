"""What all rooms share: no test reads or writes the home of whoever runs it, and none leaves the
machine: the Hub is at a port where nothing listens, unless a test says otherwise, and nobody's
token or downloads are touched. Set before huggingface_hub is imported, which reads its environment
once."""

import os
import tempfile

from hypothesis import settings

_HOME = tempfile.TemporaryDirectory(prefix="llmbudget-tests-")
# Set before any test module is imported: some read the price table in use as they are.
os.environ.update(
    LLMBUDGET_HOME=_HOME.name,
    HF_ENDPOINT="http://127.0.0.1:9",
    HF_HOME=f"{_HOME.name}/hf",
    HF_HUB_DISABLE_TELEMETRY="1",
)
for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
    os.environ.pop(name, None)


# A law is a law on a busy machine too: no test fails by the clock.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_unconfigure() -> None:
    _HOME.cleanup()
