"""``python -m skyserve_llm.replica``: `launch`, or how to install what it needs."""

import sys

try:
    from skyserve_llm.replica.launch import main
except ModuleNotFoundError as missing:
    if (missing.name or "").startswith("skyserve_llm"):
        raise
    sys.stderr.write(
        f"error: the replica needs {missing.name}, which is not installed\n\n"
        "hint: pip install 'llmbudget[replica]'\n"
    )
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main())
