# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/quickstart
export MPLBACKEND ?= agg
NBSTRIP := --keep-id --extra-keys "metadata.language_info metadata.widgets"

.PHONY: demo lab table1 test trust check lint types contracts gpu clean

$(VENV)/.ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,sweep,pretrained,compare]'
	touch $@

demo: $(VENV)/.ready  ## the active loop on scikit-learn's digits, headless
	mkdir -p $(DEMO)
	OMP_NUM_THREADS=1 $(BIN)/papermill notebooks/00_quickstart.ipynb $(DEMO)/00_quickstart.ipynb --cwd notebooks \
	  -p interactive False -p folder ../$(DEMO) --execution-timeout 600 --no-progress-bar
	$(BIN)/python -m dhaps_core.report $(DEMO)

lab: $(VENV)/.ready  ## JupyterLab on loopback, with its token, no outside look-ups
	JUPYTER_CONFIG_PATH=$(CURDIR)/.jupyter $(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks/00_quickstart.ipynb --ServerApp.open_browser=True

table1: $(VENV)/.ready  ## Table 1 on the three files of embeddings in $$DHAPS_DATA; it goes on where it stopped
	failed=0; for name in cifar imagenet scenes; do \
	  $(BIN)/python -m dhaps_core.sweep notebooks/grids/table1_$$name.yaml --out runs/table1_$$name && \
	  $(BIN)/papermill notebooks/05_table1.ipynb runs/table1_$$name/05_table1.ipynb --cwd notebooks \
	    -p interactive False -p folder ../runs/table1_$$name --no-progress-bar || failed=1; \
	done; exit $$failed

test: $(VENV)/.ready  ## all tests, fast ones first
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow and not browser"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "slow or browser"

trust: $(VENV)/.ready  ## what we promise, attacked for at most ten minutes; writes docs/trust.md
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.trust --out docs/trust.md

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/nbstripout --verify $(NBSTRIP) notebooks/*.ipynb

types: $(VENV)/.ready
	$(BIN)/mypy

contracts: $(VENV)/.ready
	$(BIN)/lint-imports

check: lint types contracts test  ## what CI runs

gpu: $(VENV)/.ready  ## the same tests on CUDA
	DHAPS_DEVICE=cuda $(BIN)/python -m pytest -m "not browser"

clean:
	rm -rf $(VENV) runs build
