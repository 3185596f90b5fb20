# make demo installs raytrain into .venv and trains a first job; make test runs the tests. Nothing needs .venv activated.
# Another Python than the one found: make clean demo PYTHON=/usr/bin/python3.12

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)

# 3.11 first: the cluster's images in cluster.yaml have it, and client and cluster must agree. TensorFlow has no 3.14 yet.
PYTHON ?=
PYTHONS := $(if $(PYTHON),'$(PYTHON)',python3.11 python3.12 python3.13 python3 python)
FITS := import sys; assert (3, 11) <= sys.version_info[:2] <= (3, 13)
# Debian ships venv without the part that puts pip into it. uv needs neither.
CAN_MAKE_VENV := $(if $(UV),pass,import ensurepip, venv)
IS_WHOLE := $(FITS)$(if $(UV),,; import pip)
IN_PLACE := $(shell $(BIN)/python -c '$(FITS)' 2>/dev/null && cat $(VENV)/.installed 2>/dev/null)
PACKAGE := import sys; print("python%d.%d-venv" % sys.version_info[:2])

.PHONY: help bench chaos conformance demo search shape test test-unit test-integration lint clean again

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.installed  ## install into .venv and train jobs/digits on two workers
	$(BIN)/raytrain submit jobs/digits

test: test-unit test-integration  ## run all tests, the quick ones first

test-unit: $(VENV)/.installed  ## run the tests that start no cluster
	$(BIN)/python -m pytest --ignore=tests/integration --ignore=tests/chaos

test-integration: $(VENV)/.installed  ## run the tests on a real Ray cluster, faults among them
	$(BIN)/python -m pytest tests/chaos tests/integration

search: $(VENV)/.installed  ## try the tests of properties on thousands of new cases
	$(BIN)/python -m pytest -m hypothesis --hypothesis-profile=search --ignore=tests/integration --ignore=tests/chaos

conformance: $(VENV)/.installed  ## hold 1, 2 and 3 workers against plain Keras and print the table
	CONFORMANCE_WORKERS=1,2,3 $(BIN)/python -m pytest -q tests/conformance

chaos: $(VENV)/.installed  ## let every fault happen, about 90 minutes, and print what it came to
	CHAOS=full $(BIN)/python -m pytest -q -rN --tb=short tests/chaos

bench: $(VENV)/.installed  ## measure start-up, lists, pipelines, epochs' edges, 1,000 ranks and whole trainings
	$(BIN)/python -m benchmarks.start_up
	$(BIN)/python -m benchmarks.listing
	$(BIN)/python -m benchmarks.planning
	$(BIN)/python -m benchmarks.pipelines
	$(BIN)/python -m benchmarks.edge
	$(BIN)/python -m benchmarks.fan_in
	$(BIN)/python -m benchmarks.training

lint: $(VENV)/.installed  ## check style and types
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy

shape: $(VENV)/.installed  ## count lines, rooms, names and untyped crossings
	$(BIN)/python -m tests.shape

clean:  ## remove .venv and everything else that was made here
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -type d -name __pycache__ -prune -exec rm -rf {} +

# Written last, so that an installation cut short is taken up again. A .venv that no longer runs is made anew, and one
# that was moved here from another folder is installed into once more.
$(VENV)/.installed: pyproject.toml $(if $(filter $(lastword $(CURDIR)),$(lastword $(IN_PLACE))),,again)
	@$(BIN)/python -c '$(IS_WHOLE)' 2>/dev/null || { $(find_python); $(make_venv); }
	@echo "Installing raytrain into $(VENV); the first time takes some minutes." >&2
	@$(if $(UV),'$(UV)' pip install --python $(BIN)/python,$(BIN)/python -m pip install --disable-pip-version-check) \
		--editable '.[dev]'
	@echo '$(CURDIR)' > $@

# Sets $python to the first that fits and can make an environment, or says what to install.
define find_python
python=; incomplete=; \
for candidate in $(PYTHONS); do \
	"$$candidate" -c '$(FITS)' 2>/dev/null || continue; \
	if "$$candidate" -c '$(CAN_MAKE_VENV)' 2>/dev/null; then python="$$candidate"; break; fi; \
	incomplete="$${incomplete:-$$candidate}"; \
done; \
if test -z "$$python" && test -n "$$incomplete"; then \
	echo "$$incomplete cannot make virtual environments: its ensurepip or venv module is missing." >&2; \
	echo "On Debian or Ubuntu: sudo apt install $$("$$incomplete" -c '$(PACKAGE)')" >&2; exit 1; \
elif test -z "$$python"; then \
	echo "raytrain needs Python 3.11, 3.12 or 3.13; tried:" $(PYTHONS) >&2; \
	echo "On Debian or Ubuntu: sudo apt install python3 python3-venv" >&2; \
	echo "Or name one:         make $(or $(MAKECMDGOALS),demo) PYTHON=/path/to/python3.12" >&2; exit 1; \
fi
endef

define make_venv
echo "Making $(VENV) with $$python" >&2; rm -rf $(VENV); \
$(if $(UV),'$(UV)' venv --python "$$python" $(VENV),"$$python" -m venv $(VENV))
endef
