# Needs Python 3.11 or newer, git and make; everything else is installed into .venv, once, and again when pyproject.toml changes.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
DEMO   := examples/models.py:resnet50 -i 1x3x224x224

.PHONY: help demo test test-full lint types zoo zoo-sample bench bench-fields pictures web web-test browser-test clean

help:
	@echo "make demo         the receptive field of every layer of ResNet-50, the proof, and report.html: all of it to look at"
	@echo "make test         the tests, a few minutes"
	@echo "make lint         ruff"
	@echo "make types        mypy"
	@echo "make test-full    the long tests too: 2,000 random networks"
	@echo "make zoo          1,700 networks of nine libraries captured, analysed, proved; an hour or two, goes on where it stopped"
	@echo "make zoo-sample   one network of each kind, minutes"
	@echo "make bench        other tools, timings, memory; 25 minutes, written to docs/benchmarks.md"
	@echo "make bench-fields effective fields: theory against sampling, timings, error bars; half an hour, written to docs/benchmarks-fields.md"
	@echo "make pictures     the pictures of README and docs, drawn anew; minutes, needs Chromium"
	@echo "make web          bundle the script of the report from web/ (needs node), to be committed"
	@echo "make web-test     the script's engine against Python, and whether the committed bundle is what web/ gives"
	@echo "make browser-test the report in Chromium (as the system has it), offline; ISOPTER_BROWSER=required fails where there is none"
	@echo "make clean        remove .venv and caches"

demo: $(VENV)/.installed-examples
	$(BIN)/isopter table $(DEMO)
	$(BIN)/isopter verify $(DEMO) --units 8
	$(BIN)/python examples/report.py

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q -n 2 -m "not slow and not browser" tests

test-full: $(VENV)/.installed-dev
	ISOPTER_NETWORKS=2000 $(BIN)/python -m pytest -q -n 2 -m "not browser" tests

lint: $(VENV)/.installed-dev
	$(BIN)/python -m ruff check .

types: $(VENV)/.installed-dev
	$(BIN)/python -m mypy

zoo: $(VENV)/.installed-zoo
	$(BIN)/python -m zoo run; code=$$?; $(BIN)/python -m zoo table && exit $$code

zoo-sample: $(VENV)/.installed-zoo
	$(BIN)/python -m zoo run --sample --fresh --records out/zoo-sample.jsonl

bench: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/run.py

bench-fields: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/fields.py

pictures: $(VENV)/.installed-dev
	$(BIN)/python docs/pictures/draw.py

web: web/node_modules/.installed
	npm --prefix web run --silent build

web-test: web/node_modules/.installed $(VENV)/.installed-dev
	rm -rf out/fixtures && mkdir -p out/fixtures
	PYTHONPATH=.:tests $(BIN)/python tests/page_fixtures.py out/fixtures
	ISOPTER_FIXTURES=$(CURDIR)/out/fixtures npm --prefix web test --silent
	npm --prefix web run --silent check

browser-test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q -n 2 --dist loadfile tests/browser

clean:
	rm -rf $(VENV) web/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- installing ------------------------------------------------------------------------------------------------------------

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e ".[torch]"
	@touch $@

$(VENV)/.installed-examples: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e ".[examples]"
	@touch $(VENV)/.installed $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e ".[dev]"
	@touch $(VENV)/.installed $(VENV)/.installed-examples $@

web/node_modules/.installed: web/package.json web/package-lock.json
	npm --prefix web ci --ignore-scripts --no-audit --no-fund
	@touch $@

$(VENV)/.installed-zoo: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e ".[zoo]"
	@touch $(VENV)/.installed $@

$(VENV)/.installed-bench: pyproject.toml constraints.txt benchmarks/peers.py | $(BIN)/python
	$(PIP) -e ".[bench]"
	$(BIN)/python benchmarks/peers.py $(VENV)/peers
	@touch $(VENV)/.installed $@
