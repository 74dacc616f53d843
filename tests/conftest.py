"""What all rooms share: no test reads or writes the home of whoever runs it."""

import os
import tempfile

_HOME = tempfile.TemporaryDirectory(prefix="llmbudget-tests-")
# Set before any test module is imported: some read the price table in use as they are.
os.environ["LLMBUDGET_HOME"] = _HOME.name


def pytest_unconfigure() -> None:
    _HOME.cleanup()
