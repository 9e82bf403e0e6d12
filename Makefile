# Everything that a newcomer needs, from a fresh clone, with Python 3.11 to 3.13 and make.
PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= test
CONSTRAINTS ?= constraints.txt
BIN = $(VENV)/bin
# What depends most on the versions of TensorFlow, Keras, TFP and NumPy.
FAST_TESTS = tests/audio tests/uncertainty tests/models/test_conformance.py tests/models/test_dropout.py \
	tests/models/test_randomness.py tests/models/test_vipann.py tests/records/test_pipeline.py \
	tests/saved_model/test_signatures.py tests/training/test_transfer.py tests/cli/test_cli.py
# Object stores, and SavedModels that the other TensorFlow wrote.
IO_TESTS = tests/files/test_storage.py tests/saved_model/test_c_library.py

.PHONY: help install quickstart check docs test test-slow test-io notebooks bench clean

help:  ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

install: $(VENV)/.installed-$(EXTRAS)  ## Make the virtual environment and install the package in it.

$(VENV)/.installed-%: setup.cfg $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable '.[$*]'
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

# A warning is an error; so is a page that would load something from a network.
docs: $(VENV)/.installed-docs  ## Build the site of the documents and the reference in build/docs.
	$(BIN)/sphinx-build -W --keep-going --quiet -c docs -d build/doctrees . build/docs
	$(BIN)/python docs/site/check_offline.py build/docs
	@echo "Wrote build/docs/index.html"

# The files alone that have such tests: importing all takes 20 s.
ALONE = $(shell grep -rl --include="test_*.py" "mark.alone" tests)
# One test uses one core most of the time. A module's tests stay together, as they share what they made.
test test-slow test-io: export PYTHONWARNDEFAULTENCODING = 1
test: install  ## Run all tests but the slow ones, two at a time; those that measure time come last.
	$(BIN)/python -m pytest -q -m "not alone and not slow" -n 2 --dist loadfile
	$(BIN)/python -m pytest -q -m alone $(ALONE)

test-slow: install  ## Run the other tests: kills, processes, browsers, every command of the documents.
	$(BIN)/python -m pytest -q -m slow -n 2 --dist loadfile

# Python 3.13 has no TensorFlow 2.17.
test-io:  ## Run the fast tests, and those of object stores, on the extra io: TensorFlow 2.17, Python 3.11 or 3.12.
	$(MAKE) install VENV=.venv-io EXTRAS=test,io CONSTRAINTS=constraints-io.txt
	.venv-io/bin/python -m pytest -q $(FAST_TESTS) $(IO_TESTS)

notebooks: install  ## Execute the notebooks of examples/notebooks anew, and store what they show (three minutes).
	$(BIN)/python -m tests.helpers.notebooks

bench:  ## Measure everything, against TFP's layers and PyTorch (an hour); rewrites benchmarks/RESULTS.md.
	$(MAKE) install EXTRAS=test,bench
	$(BIN)/python -m benchmarks.run

clean:  ## Remove the virtual environments, the site and what quickstart made.
	rm -rf .venv .venv-io build quickstart
