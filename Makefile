# Each target sets up .venv by itself; the second time in seconds.
PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.installed
MTD := $(firstword $(wildcard ../shared/data/mtd))
export FLAWSMITH_MTD ?= $(abspath $(MTD))
export OMP_NUM_THREADS ?= 1

.PHONY: install demo test lint bench gallery docs

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet torch -c constraints.txt
	$(BIN)/python -m pip install --quiet -e '.[dev,demo]' -c constraints.txt
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/flawsmith demo --out runs/demo --overwrite

test: $(STAMP)
	$(BIN)/python -m pytest -n 2

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python -m benchmarks

gallery: $(STAMP)
	$(BIN)/python docs/gallery.py

docs: $(STAMP)
	$(BIN)/python docs/make.py
