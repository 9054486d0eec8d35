# The two commands of the README, and what the gate runs besides.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: benchmarks gpu-evidence demo test test-slow test-lowest mutants check docs package setup clean
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

# Small faults put into the formulas, one at a time, which the tests must notice; needs Python 3.11. ROOM=losses runs one
# room, FORMULAS=1 leaves out lost arguments, SHARE=0.2 SEED=1 draws a fifth of the faults.
mutants: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python scripts/mutants.py --room $(or $(ROOM),all) --share $(or $(SHARE),1) \
		--seed $(or $(SEED),0) $(if $(FORMULAS),--formulas)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The site in site/, with every warning an error; it needs no network.
docs: $(READY)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs site

# Wheel and source distribution in dist/.
package: $(READY)
	$(BIN)/python -m build --no-isolation

# The suite with the oldest versions that pyproject.toml allows, in an environment of its own. Old versions warn of what
# newer ones do, so warnings are no errors here.
test-lowest:
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install --quiet -c constraints-lowest.txt -e '.[all,topology]' \
		beartype hypothesis jaxtyping pytest pytest-xdist websocket-client
	OMP_NUM_THREADS=1 PYTEST_ADDOPTS='-o filterwarnings=' $(VENV)-lowest/bin/python -m pytest -n auto \
		--ignore tests/docs --ignore tests/packaging

# What one GPU can say in a few minutes: STAGE=cifar10, newsgroups or kernels, MINUTES=8, DATA=a folder that holds the data.
# Tables and logits go to OUT; what was stopped goes on.
gpu-evidence: $(READY)
	$(BIN)/python benchmarks/gpu/evidence.py $(or $(STAGE),cifar10) --minutes $(or $(MINUTES),8) \
		--data $(or $(DATA),data) --out $(or $(OUT),runs/gpu) $(ARGS)

# Every claim of speed in one table, docs/results/speed.csv and docs/speed.md, beside peers in an environment of their own;
# ARGS='--only tables' measures one room and leaves the others as they are.
benchmarks: $(READY) $(VENV)-peers/.ready
	$(BIN)/python benchmarks/speed/run.py --peers $(VENV)-peers/bin/python --output docs/results/speed.csv $(ARGS)
	$(BIN)/python scripts/generated.py

$(VENV)-peers/.ready: benchmarks/speed/requirements.txt
	$(PYTHON) -m venv $(VENV)-peers
	$(VENV)-peers/bin/python -m pip install --quiet -r benchmarks/speed/requirements.txt
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-lowest $(VENV)-peers runs site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
