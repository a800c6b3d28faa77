# Two commands for a fresh machine with Python 3.11+, pip and a package registry: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-dev
# A process a core; each takes over what is left of another's share in the end.
SIDE_BY_SIDE := -n auto --maxprocesses 8 --dist worksteal

.PHONY: demo test test-slow test-installed check docs bench gpu clean

# The stamp makes the second run quick: only a changed pyproject.toml installs again.
$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $(STAMP)

demo: $(STAMP)  ## score real weights on real images, offline, and show the results as a page
	HF_HUB_OFFLINE=1 $(BIN)/imagenet-hard-eval --dataset sample --suite demo --out results/demo
	$(BIN)/imagenet-hard leaderboard preview results/demo --out results/demo-page

test: $(STAMP)  ## the whole suite without its slow part
	$(BIN)/python -m pytest -q $(SIDE_BY_SIDE)

test-slow: $(STAMP)
	$(BIN)/python -m pytest -q -m slow $(SIDE_BY_SIDE)

test-installed:  ## demo and a part of the tests on the package that PYTHON has installed: other versions, other Pythons
	bash .ci/installed $(PYTHON)

check: $(STAMP)  ## what CI asks of the sources
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema -q --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema -q --builtin-schema custom.github-workflows-require-timeout .github/workflows/*.yml
	$(BIN)/check-jsonschema -q --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	$(BIN)/check-jsonschema -q --builtin-schema vendor.citation-file-format CITATION.cff
	$(BIN)/zizmor --offline -q .github/workflows

docs: $(STAMP)  ## the site of docs/, strictly: a broken link or reference is an error
	$(BIN)/python -m sphinx -q -W --keep-going docs build/docs

bench: $(STAMP)  ## every benchmark; the table goes into docs/performance.md
	$(BIN)/python benchmarks/suite.py

gpu: $(STAMP)  ## the same for a CUDA device, in ten minutes; without one it says what it needs
	$(BIN)/python benchmarks/gpu.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
