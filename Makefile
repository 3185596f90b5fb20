# make demo installs raytrain into .venv and trains a first job; make test runs the everyday tests. Nothing needs .venv
# activated. Another Python than the one found: make clean demo PYTHON=/usr/bin/python3.12

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help install bench chaos conformance demo docs gpu lint pace search shape test test-all test-unit clean

VENV_PYTHON := .venv/bin/python
PYTEST := $(VENV_PYTHON) -m pytest

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

install:  ## install into .venv, unless that was done; every other verb begins with it
	@./install.sh

demo: install  ## train jobs/digits on two workers of this machine
	.venv/bin/raytrain submit jobs/digits

test: test-unit  ## run the everyday tests: the quick ones, then each capability once on real workers and a real cluster
	$(PYTEST) -m "processes and not thorough"

test-unit: install  ## run the quick ones alone, which start no workers and no cluster
	$(PYTEST) -n 2 -m "not processes and not thorough"

test-all: install  ## run the rest: faults, conformance, every source and job
	$(PYTEST) -m thorough

search: install  ## try the tests of properties on thousands of new cases
	$(PYTEST) -m "hypothesis and not thorough" --hypothesis-profile=search

conformance: install  ## hold 1, 2 and 3 workers, and the proof, against plain Keras and print the table
	CONFORMANCE_WORKERS=1,2,3 $(PYTEST) -q tests/conformance tests/worker/proof

chaos: install  ## let every fault happen, about 90 minutes, and print what it came to
	CHAOS=full $(PYTEST) -q -rN --tb=short tests/chaos

bench: install  ## measure start-up, lists, pipelines, epochs' edges, 1,000 ranks and whole trainings
	$(VENV_PYTHON) -m benchmarks

gpu: install  ## prove what only a GPU can, and write a note; without one, say what would run
	$(VENV_PYTHON) -m benchmarks.gpu

pace: install  ## time the tests in units of one import of TensorFlow
	$(VENV_PYTHON) -m tests.pace

docs: install  ## write the generated parts of docs/ and build the site into site/
	$(VENV_PYTHON) -m docs.generate && NO_MKDOCS_2_WARNING=1 $(VENV_PYTHON) -m mkdocs build --strict

lint: install  ## check style and types
	$(VENV_PYTHON) -m ruff check && $(VENV_PYTHON) -m ruff format --check && $(VENV_PYTHON) -m mypy

shape: install  ## count lines, rooms, names and untyped crossings
	$(VENV_PYTHON) -m tests.shape

clean:  ## remove .venv and everything else that was made here
	rm -rf .venv build dist site *.egg-info .*_cache .hypothesis; find . -name __pycache__ -prune -exec rm -rf {} +
