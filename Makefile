# Everything that a newcomer needs, from a fresh clone, with Python 3.11 or 3.12 and make.
PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= test
BIN = $(VENV)/bin
# What depends most on the versions of TensorFlow, Keras, TFP and NumPy.
FAST_TESTS = tests/audio tests/uncertainty tests/models/test_conformance.py tests/models/test_dropout.py \
	tests/models/test_randomness.py tests/models/test_vipann.py tests/records/test_pipeline.py \
	tests/saved_model/test_signatures.py tests/training/test_transfer.py tests/cli/test_cli.py

.PHONY: help install quickstart check test test-newer bench clean

help:  ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

install: $(VENV)/.installed-$(EXTRAS)  ## Make the virtual environment and install the package in it.

$(VENV)/.installed-%: setup.cfg constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$*]'
	touch $@

quickstart: install  ## Do the main job once, on synthetic sounds (a few minutes).
	$(BIN)/vipann-tf quickstart --out quickstart --overwrite

check: $(VENV)/.installed-dev  ## Check format, lint, types, layers, deploy/ and the docstrings' examples.
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/shellcheck .ci/run deploy/slurm/train.sh
	$(BIN)/hadolint deploy/Dockerfile
	$(BIN)/kubernetes-validate --strict --quiet deploy/kubernetes/*.yaml
	$(BIN)/python -m pytest -q --doctest-modules vipann_tf

# One test uses one core most of the time. A module's tests stay together, as they share what they made.
test test-newer: export PYTHONWARNDEFAULTENCODING = 1
test: install  ## Run the tests, two at a time; those that measure time come after the others.
	$(BIN)/python -m pytest -q -m "not alone" -n 2 --dist loadfile
	$(BIN)/python -m pytest -q -m alone

# tensorflow-io is not made for TensorFlow 2.21, so setup.cfg's own requirements can't be used on
# the Pythons that have both.
.venv-newer/.installed: requirements-newer.txt setup.cfg
	$(PYTHON) -m venv .venv-newer
	.venv-newer/bin/python -m pip install --quiet --upgrade pip
	.venv-newer/bin/python -m pip install --quiet --requirement requirements-newer.txt
	.venv-newer/bin/python -m pip install --quiet --no-deps --editable .
	touch $@

test-newer: .venv-newer/.installed  ## Run the fast tests on the newer TensorFlow set.
	.venv-newer/bin/python -m pytest -q $(FAST_TESTS)

bench:  ## Measure everything, against TFP's layers and PyTorch (an hour); rewrites benchmarks/RESULTS.md.
	$(MAKE) install EXTRAS=test,bench
	$(BIN)/python -m benchmarks.run

clean:  ## Remove the virtual environments and what quickstart made.
	rm -rf .venv .venv-newer quickstart
