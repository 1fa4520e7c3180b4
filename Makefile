# `make demo` is the first command to try; `make` alone lists the others.
#
# .venv is made by the first of $(PYTHON), python3, python3.13, python3.12, python3.11 that Airflow
# supports, and filled by pip with the versions of constraints.txt, from whatever index pip is set to.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
ARGS ?=
# Processes that test at the same time. Several of the tests start an Airflow of their own.
JOBS ?= 2

# Airflow starts nearly twice as fast from cached bytecode.
unexport PYTHONDONTWRITEBYTECODE
# Another environment that happens to be active is not this one.
unexport VIRTUAL_ENV PYTHONHOME

SUPPORTED := import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

.DEFAULT_GOAL := help
.PHONY: help demo ui test chaos cluster-test matrix check format bench screenshots constraints clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|' 2>/dev/null \
		|| grep -E '^[a-z-]+:.*## ' Makefile

demo: $(VENV)/.runtime ## Edit a photo with a real Airflow and a pretend Aluo on this machine
	@$(BIN)/python -m airflow_aluo.demo $(ARGS)

ui: $(VENV)/.runtime ## The same, left running for the browser until Ctrl-C
	@$(BIN)/python -m airflow_aluo.demo --ui $(ARGS) || [ $$? -eq 130 ]

test: $(VENV)/.dev ## Run all tests, with the coverage of every process that they start
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(JOBS) --dist loadfile $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --fail-under=100 --include='airflow_aluo/protocol/*,airflow_aluo/pace/*'

chaos: $(VENV)/.dev ## Kill, cut and clear a real Airflow at work, and see what is paid (7 minutes)
	$(BIN)/python -m pytest -q tests/chaos $(ARGS)

cluster-test: $(VENV)/.cluster ## Work and shake a cluster: PostgreSQL, Redis, Celery, two of each (13 minutes)
	$(BIN)/python -m pytest -q tests/cluster $(ARGS)

matrix: $(VENV)/.dev ## Tests and main job on each Airflow and Python (hour; ARGS="3.2-3.13": one row, --all: all)
	@$(BIN)/python -m tests.matrix.run $(ARGS)

check: $(VENV)/.dev ## Lint, formats, types, schemas
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_schemas.py

format: $(VENV)/.dev ## Let ruff repair and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.bench ## Measure, beside what others do; nothing here fails on a time
	@for benchmark in tests/benchmarks/bench_*.py; do $(BIN)/python $$benchmark $(ARGS) || exit 1; done

screenshots: $(VENV)/.dev ## Take the README's pictures of the gallery anew, in a real Airflow
	$(BIN)/python -m tests.browser.screenshots

constraints: $(VENV)/.dev ## Write constraints.txt anew: the newest versions for every supported Python
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade \
		--no-annotate --no-header --group dev --group bench --group cluster pyproject.toml --output-file constraints.txt

clean: ## Remove all that the other commands made
	rm -rf $(VENV) .demo .matrix dist htmlcov .coverage .coverage.* \
		.mypy_cache .pytest_cache .ruff_cache .hypothesis .schemathesis
	find airflow_aluo dags_examples tests -name __pycache__ -type d -prune -exec rm -rf {} +

# What is needed to run. While pip works the stamp is called `.unfinished`: if that is still there the
# next time, pip was interrupted, and .venv is made anew.
$(VENV)/.runtime: pyproject.toml constraints.txt
	@rm -f $@ $(VENV)/.dev
	@if [ -e $(VENV)/.unfinished ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
			if $$python -c '$(SUPPORTED)' >/dev/null 2>&1; then \
				echo "making $(VENV) with $$($$python --version)"; \
				rm -rf $(VENV); $$python -m venv $(VENV); exit; \
			fi; \
		done; \
		echo 'No Python 3.11, 3.12 or 3.13 with venv was found (Debian: apt install python3-venv);' \
			'name one: make PYTHON=/path/to/python3' >&2; \
		exit 1; \
	fi
	@touch $(VENV)/.unfinished
	@# Later, --group needs pip 25.1.
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@mv $(VENV)/.unfinished $@
	@touch $@

# What is needed to test and to check.
$(VENV)/.dev: $(VENV)/.runtime
	@mv $(VENV)/.runtime $(VENV)/.unfinished
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev
	@mv $(VENV)/.unfinished $(VENV)/.runtime
	@touch $@

# What the cluster needs besides: Celery, and drivers of PostgreSQL.
$(VENV)/.cluster: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group cluster
	@touch $@

# What the benchmarks need besides: the peers that we are measured beside.
$(VENV)/.bench: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group bench
	@touch $@
