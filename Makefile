# Two commands do all the set-up: `make demo` and `make test`. Each makes .venv from constraints.txt when it is missing.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
JOBS   ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
READY  := $(VENV)/.ready

.PHONY: setup demo test check fuzz mutate bench docs pages clean

setup: $(READY)

$(READY): constraints.txt pyproject.toml setup.py $(wildcard src/taskct/physics/native/cpp/* src/taskct/physics/cuda/kernels/*)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' || { echo "taskct needs Python 3.11 or newer; say make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "installing into $(VENV): about two minutes"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch setuptools
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-build-isolation --editable '.[dask,dicom,dev,viewer]'
	touch $@

demo: $(READY)
	$(BIN)/taskct demo --out runs/demo

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports

test: check  ## a file of tests stays in one process; JOBS=1 is one process for all
	$(BIN)/python -m compileall -q -j 0 src  # once for the many processes that the tests start, even where Python may write no bytecode
	$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder

SECONDS ?= 60
KILLS ?= 50
fuzz: $(READY)  ## every reader on damaged files for SECONDS each, and KILLS random kills of every writer
	$(BIN)/python tests/fuzz/run_fuzzing.py --seconds $(SECONDS)
	TASKCT_KILLS=$(KILLS) $(BIN)/python -m pytest -q -s tests/fuzz/test_kills.py -k random

MUTANTS ?= 300
SEED ?= 0
mutate: $(READY)  ## MUTANTS random small faults of the code, each against the tests that run its line; resumes where it was stopped
	$(BIN)/python tests/mutation/run.py --mutants $(MUTANTS) --seed $(SEED) $(MUTATE)

$(VENV)/.docs: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-build-isolation --editable '.[dask,dicom,dev,docs]'
	touch $@

docs: $(VENV)/.docs  ## the site, with its examples run and every warning an error; open build/site/index.html
	$(BIN)/sphinx-build -W --keep-going -q -b html -d build/doctrees docs build/site
	@echo "the site: build/site/index.html"

pages: $(READY)  ## the pages and figures that need no data of yours; the others say in their first lines what they want
	$(BIN)/python docs/make_architecture.py
	$(BIN)/python docs/make_dose_table.py
	$(BIN)/python docs/make_data_tables.py
	$(BIN)/python docs/make_reconstruction_table.py

.venv-peers/.ready: benchmarks/projectors/requirements-peers.txt
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

TV_CT ?=
bench: $(READY) .venv-peers/.ready  ## our projectors beside whichever peers could be installed; TV beside ODL's on built-in patients, or on TV_CT
	$(BIN)/taskct bench --peers .venv-peers/bin/python --out benchmarks/results/projectors.json --overwrite
	PYTHONPATH=src:$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
		.venv-peers/bin/python benchmarks/tv_beside_odl.py $(TV_CT) --out benchmarks/results/tv_beside_odl

clean:
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache src/*.egg-info
