# A fresh machine needs Python 3.11, pip and gcc. `make demo` and `make test` set up everything else.

PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: setup demo demo-rooms recovery test test-lowest test-slow gpu-check lint messages docs notebooks clean lock

setup: .venv/.ready

# torch is installed first and pinned, so that later packages keep it instead of fetching their own build.
.venv/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps $(shell grep '^torch==' requirements.lock)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

# A problem whose answer is known: compares what was planted with what searches find.
demo: setup
	$(BIN)/atrc experiment planted2+ample

# The same on rendered rooms.
demo-rooms: setup
	$(BIN)/atrc experiment demo

# For changes of the numerics: compares networks and searches on planted problems with numbers in the repository.
recovery: setup
	$(BIN)/atrc recovery --kept runs/published/recovery

test: setup lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

# The lowest versions that pyproject.toml allows, in an environment of its own; torch is that of the lock, or TORCH=2.6.0.
LOWEST := .venv-lowest/bin
test-lowest: setup
	test -x $(LOWEST)/python || $(PYTHON) -m venv .venv-lowest
	$(LOWEST)/pip install --quiet --disable-pip-version-check torch==$(or $(TORCH),$(shell sed -n 's/^torch==//p' requirements.lock))
	$(BIN)/python tests/support/lowest.py torch > .venv-lowest/lowest.txt
	$(LOWEST)/pip install --quiet --disable-pip-version-check --requirement .venv-lowest/lowest.txt
	$(LOWEST)/pip install --quiet --disable-pip-version-check $(shell grep -E '^(pytest|pytest-xdist|hypothesis|playwright)==' requirements.lock)
	$(LOWEST)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	$(LOWEST)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

test-slow: setup
	$(BIN)/python -m pytest -m slow

# What only a GPU can show, in less than 8 minutes on one card; writes gpu-check.json. It installs nothing and needs no
# .venv: PYTHON names an interpreter with torch for CUDA, e.g. make gpu-check PYTHON=python3 ARGS="--only resume".
gpu-check:
	PYTHONPATH="tests/support:$$PYTHONPATH" $(PYTHON) -m gpu_check $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Prints every line that users can see (errors, help, notes, captions, summaries), with file and line, to be read.
messages: setup
	$(BIN)/python tests/support/printed_lines.py

# Executes the notebooks from top to bottom and saves their output. Runs that exist in runs/ are not made again.
notebooks: setup
	$(BIN)/python -m pytest --nbmake --nbmake-timeout=3600 --overwrite notebooks

# The documentation as a site: open site/index.html. (With --quiet, --strict would let dead links pass.)
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# After a change of the dependencies in pyproject.toml: resolves them anew in a separate environment.
lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet $(shell grep '^torch==' requirements.lock)
	.venv-lock/bin/pip install --quiet --editable '.[dev]'
	.venv-lock/bin/pip freeze --exclude-editable | sed 's/^\(torch==[0-9.]*\)+.*/\1/' > requirements.lock
	rm -rf .venv-lock

clean:
	rm -rf .venv .venv-lowest .mypy_cache .pytest_cache .ruff_cache site *.egg-info
