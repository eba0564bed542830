# Two commands do everything: `make demo` and `make test`. Each creates .venv
# from requirements.lock when it is missing. The programs run from the source
# tree; nothing of the project itself is installed.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.PHONY: demo test lint format lock vendor clean venv

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.locked
SOURCES := histogan_tf trainer serving tests benchmarks
HOUSE := $(wildcard ../shared/tools/house.py)

# make demo [DATA=folder of one data set] [OUTPUT=folder]
DATA ?=
OUTPUT ?= runs/demo$(if $(DATA),-$(shell basename "$(DATA)"))

demo: $(STAMP)
	$(BIN)/python -m trainer.demo --data "$(DATA)" --output "$(OUTPUT)"

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder \
	  $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(if $(HOUSE),$(BIN)/python $(HOUSE) --strict)

format: $(STAMP)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

venv: $(STAMP)

# Python 3.11 exactly: the lock's wheels fit no other. PYTHON=... goes first.
# Bytecode is compiled here, on all cores: where programs may not write it, each
# would compile TensorFlow anew, 11 s.
$(STAMP): requirements.lock
	@for python in $(PYTHON) python3.11 python3 python none; do \
	  "$$python" -c 'import sys, venv, ensurepip; \
	    sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && break; \
	done; \
	if [ "$$python" = none ]; then \
	  echo "error: no Python 3.11 with venv found; make PYTHON=/path/to/python3.11" >&2; \
	  exit 2; \
	fi; \
	echo "creating $(VENV) from $< (some minutes)"; \
	"$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check \
	  --no-input --no-compile --only-binary :all: --require-hashes --no-deps \
	  -r $<
	-@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib
	@touch $@

# Run after a change of the dependencies; takes minutes, wants PyPI. pip's
# own settings are shut out, so that no private index gets into the lock.
lock:
	python3.11 -m venv .lock-venv
	.lock-venv/bin/pip install --quiet pip-tools==7.6.2
	env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL PIP_CONFIG_FILE=/dev/null \
	  .lock-venv/bin/pip-compile --quiet --no-config --extra beam --extra dev \
	  --generate-hashes --allow-unsafe --strip-extras --no-emit-options \
	  --no-header --annotation-style line \
	  --index-url https://pypi.org/simple \
	  --output-file requirements.lock pyproject.toml
	rm -rf .lock-venv

# The viewer's script is in the tree: neither users nor CI need npm. A new
# version needs the integrity that `npm view openseadragon@X dist.integrity`
# states, and both again in VERSION beside the script.
OSD := 5.0.1
OSD_SHA512 := a/hjouW9i3UfWxRADVYN2MyRhXMGnE7x9VVL7/4jXCcDLFyO4UM5o4RStYtqa5BfaHw/wMNAaD2WbxQF8f1pJg==
OSD_FOLDER := histogan_tf/report/vendor/openseadragon

vendor:
	folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	npm pack --silent --pack-destination "$$folder" openseadragon@$(OSD); \
	archive="$$folder/openseadragon-$(OSD).tgz"; \
	found=$$(openssl dgst -sha512 -binary "$$archive" | base64 -w 0); \
	if [ "$$found" != "$(OSD_SHA512)" ]; then \
	  echo "error: $$archive: sha512 $$found, not $(OSD_SHA512)" >&2; \
	  exit 2; \
	fi; \
	tar -xzf "$$archive" -C "$$folder"; \
	cp "$$folder/package/build/openseadragon/openseadragon.min.js" \
	  "$$folder/package/LICENSE.txt" $(OSD_FOLDER)/

clean:
	rm -rf $(VENV) .lock-venv build *.egg-info .mypy_cache .ruff_cache \
	  .pytest_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +
