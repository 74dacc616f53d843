# Two commands do everything on a fresh machine: `make demo` and `make test`.
# Each target makes its own .venv from pinned requirements; nothing is installed elsewhere.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
UV     := $(BIN)/python -m uv

export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test check bench requirements clean

demo: $(READY)
	$(BIN)/python -m tests.e2e.demo

test: $(READY)
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	rm -rf dist && $(BIN)/python -m build --no-isolation >/dev/null && ls dist

bench: $(READY)
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

$(READY): requirements/dev.txt requirements/uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/uv.txt
	$(UV) pip install --quiet --python $(BIN)/python -r requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# Pins for every extra at once; no file names a host to download from.
requirements: $(READY)
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --extra dev \
	  --no-emit-index-url --no-emit-find-links pyproject.toml -o requirements/dev.txt
	cd requirements && for set in replica replica-vllm; do \
	  ../$(UV) pip compile --quiet --upgrade --python-version 3.12 \
	    --python-platform x86_64-manylinux_2_28 --no-emit-index-url --no-emit-find-links \
	    $$set.in -o $$set.txt; done

clean:
	rm -rf $(VENV) .cache dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
