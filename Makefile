# Everything below sets itself up in .venv; only python3 (3.11 to 3.14) is needed.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test check bench clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: $(STAMP) ## train a network on handwritten digits and show what symgraph sees
	$(BIN)/python examples/digits.py

check: $(STAMP) ## ruff, mypy --strict, doctests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p symgraph
	$(BIN)/mypy tests examples
	$(BIN)/python -m pytest --doctest-modules symgraph -q -p no:cacheprovider

test: check ## every check and every test
	$(BIN)/python -m pytest -n 2

bench: $(STAMP) ## times beside NumPy and, where installed, JAX, PyTensor and PyTorch
	$(BIN)/python tests/benchmarks/run.py
	$(BIN)/python tests/benchmarks/simplification.py
	$(BIN)/python tests/benchmarks/formulas.py

clean: ## remove what was set up
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
