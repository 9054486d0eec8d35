# The two commands of the README, and what the gate runs besides.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-slow check setup clean
.DEFAULT_GOAL := setup

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all,dev]'
	touch $@

# Trains three losses over five seeds on digits, compares them, and writes one HTML page.
demo: $(READY)
	$(BIN)/adafocal study --recipe digits --losses cross_entropy flsd53 adafocal --seeds 0 1 2 3 4 \
		--baseline adafocal --study_dir runs/demo

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

test-slow: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -m slow

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) runs build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
