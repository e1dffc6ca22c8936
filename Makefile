# Everything installs itself: only make, git and Python 3.11, 3.12, 3.13 or 3.14 need to be there.
#
#   AIRFLOW=2.11.2      the Airflow version to run on, one of $(LINES)
#   PYTHON=python3.12   the interpreter to run on; its environment stands beside the default one's
#   ARGS="-k sensor"    further arguments for pytest
#   DAGS=my_dags        the folder whose DAGs `make airflow` runs

LATEST := 3.3.2
LINES := 2.11.2 3.0.6 3.1.8 3.2.2 $(LATEST)
AIRFLOW ?= $(LATEST)
DAGS ?= example_dags

VENV := .venv/$(AIRFLOW)$(if $(PYTHON),-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
CONSTRAINTS := constraints/airflow-$(AIRFLOW).txt
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint $(CONSTRAINTS)

NEWEST_PYTHON := $(if $(filter 2.11.2 3.0.6,$(AIRFLOW)),12,$(if $(filter $(LATEST),$(AIRFLOW)),14,13))
PYTHONS := $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14)
IS_SUITABLE := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, $(NEWEST_PYTHON)))

CORE := tests/unit/client/test_transport.py $(patsubst %,tests/integration/%.py,client/test_wire operators/test_campaign \
	hooks/test_connection_settings waiting/test_triggers waiting/test_watchers docs/test_demo)

# The developer's own Airflow stays out of it, and without bytecode Airflow starts half as fast.
unexport AIRFLOW_HOME AIRFLOW_CONFIG PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH VIRTUAL_ENV

.NOTPARALLEL:
.PHONY: help demo airflow docs test lint build audit test-matrix test-lowest test-s3 test-system test-system-matrix debian-packages benchmarks \
	constraints clean

help: ## Show the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-20s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.dev ## Stop the sandbox's campaigns (or your own: see docs/connections.md) with a DAG, and see what was sent.
	@$(BIN)/python -m airflow_provider_campaign.sandbox.demo example_dags/stop_campaigns.py example_dags/calling_hours_guard.py $(ARGS)

airflow: $(VENV)/.dev ## Run Airflow's UI with the sandbox behind it, to click through (ARGS="--port 8081" for another port).
	@$(BIN)/python -m airflow_provider_campaign.sandbox.playground $(DAGS) $(ARGS)

docs: .venv/docs/.docs ## Build the documentation's site into build/docs. Warnings and dead links are errors.
	@.venv/docs/bin/python -m sphinx -q -W -E --keep-going -d build/doctrees docs build/docs
	@echo "The documentation is built: build/docs/index.html"

test: $(VENV)/.dev $(if $(PYTHON)$(filter-out $(LATEST),$(AIRFLOW)),,lint) ## Run linters (but for another AIRFLOW or PYTHON) and all tests but the system's and S3's.
	$(BIN)/python -m pytest --numprocesses=3 --dist=loadgroup --ignore=tests/system --ignore=tests/s3 $(ARGS)

lint: .venv/tools/.tools ## Run the hooks of .pre-commit-config.yaml: ruff, mypy, codespell, the schemas of what is in .github.
	@$(MAKE) -s .venv/$(LATEST)/.system AIRFLOW=$(LATEST) PYTHON=
	@.venv/tools/bin/pre-commit run --all-files

build: .venv/tools/.tools ## Build wheel and sdist, twice the same to the byte, and their SBOM; check the metadata.
	@.ci/build

audit: build ## Compare what the package brings with known advisories: asks PyPI, and fails where that does not answer.
	@.venv/tools/bin/pip-audit --strict --no-deps --disable-pip --requirement build/requirements.txt

test-matrix: ## Run the tests on every Airflow version, and the latest on every Python that is here.
	@for line in $(LINES); do $(MAKE) test AIRFLOW=$$line PYTHON=$(PYTHON) || exit; done
	@for python in python3.12 python3.13; do \
		pyenv=$$(pyenv prefix $$(pyenv latest $${python#python}) 2>/dev/null)/bin/$$python; \
		for python in $$python $$pyenv; do \
			if $$python -c 'import venv' 2>/dev/null; then $(MAKE) test PYTHON=$$python || exit; break; fi; \
		done; \
	done

test-lowest: ## Run the core's tests with the lowest versions that pyproject.toml allows.
	@$(MAKE) .venv/lowest/.lowest AIRFLOW=2.11.2 VENV=.venv/lowest
	.venv/lowest/bin/python -m pytest --numprocesses=3 --dist=loadgroup $(CORE) $(ARGS)

test-s3: .venv/s3/.s3 ## Run the tests that keep records on S3, as moto has it.
	.venv/s3/bin/python -m pytest tests/s3 $(ARGS)

test-system: $(VENV)/.system debian-packages ## Run the tests that bring up a whole Airflow.
	$(BIN)/python -m pytest tests/system --numprocesses=2 --dist=loadgroup $(ARGS)

test-system-matrix: ## Run them on every Airflow version that they can bring up: 3.0 and later.
	@for line in $(filter 3.%,$(LINES)); do $(MAKE) test-system AIRFLOW=$$line || exit; done

debian-packages:
	@missing="$$(command -v redis-server >/dev/null || echo redis-server) \
		$$(ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || echo postgresql) \
		$$(command -v chromium >/dev/null || echo chromium)"; \
	test -z "$$(echo $$missing)" && exit; \
	test "$$(id -u)" = 0 || { echo "First install the Debian packages: $$missing" >&2; exit 1; }; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing

benchmarks: $(VENV)/.system debian-packages ## Measure what README.md shows.
	@for benchmark in $(notdir $(basename $(wildcard benchmarks/[a-z]*.py))); do \
		$(BIN)/python -m benchmarks.$$benchmark || exit; \
	done

constraints: $(VENV)/.dev ## Resolve constraints/*.txt anew from constraints/*.in and pyproject.toml.
	@for line in $(LINES); do \
		$(BIN)/uv pip compile --quiet --upgrade --all-extras --no-header --no-annotate --python-version 3.11 \
			--output-file constraints/airflow-$$line.txt pyproject.toml constraints/airflow-$$line.in || exit; \
	done
	@$(BIN)/uv pip compile --quiet --upgrade --group docs --no-header --no-annotate --python-version 3.11 \
		--output-file constraints/docs.txt
	@$(BIN)/uv pip compile --quiet --upgrade --group tools --no-header --no-annotate --python-version 3.11 \
		--output-file constraints/tools.txt
	@$(BIN)/uv pip compile --quiet --upgrade --extra dev --group s3 --no-header --no-annotate --python-version 3.11 \
		--output-file constraints/s3.txt pyproject.toml constraints/airflow-$(LATEST).in

clean: ## Remove the virtual environments and everything built.
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.dev: pyproject.toml $(CONSTRAINTS)
	@python=$$(for python in $(PYTHONS); do $$python -c '$(IS_SUITABLE)' >/dev/null 2>&1 && echo $$python && break; done); \
	test -n "$$python" || { \
		echo "Airflow $(AIRFLOW) needs Python 3.11 to 3.$(NEWEST_PYTHON) with its venv module (Debian: python3-venv)." >&2; \
		echo "None of these is: $(PYTHONS). If yours has another name, say make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; \
		exit 1; \
	}; \
	echo "Installing Airflow $(AIRFLOW) for $$($$python --version) into $(VENV)"; \
	$$python -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) uv
	@$(INSTALL) --editable '.[dev]'
	@touch $@

$(VENV)/.system: $(VENV)/.dev
	@$(INSTALL) --editable '.[dev,system]'
	@touch $@

.venv/docs/.docs: pyproject.toml constraints/docs.txt | $(VENV)/.dev
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/docs
	@$(BIN)/uv pip install --quiet --python .venv/docs/bin/python --constraint constraints/docs.txt --group docs
	@touch $@

.venv/tools/.tools: pyproject.toml constraints/tools.txt | $(VENV)/.dev
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/tools
	@$(BIN)/uv pip install --quiet --python .venv/tools/bin/python --constraint constraints/tools.txt --group tools
	@touch $@

.venv/s3/.s3: pyproject.toml constraints/s3.txt | $(VENV)/.dev
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/s3
	@$(BIN)/uv pip install --quiet --python .venv/s3/bin/python --constraint constraints/s3.txt --editable '.[dev]' --group s3
	@touch $@

$(VENV)/.lowest: $(VENV)/.dev
	@$(BIN)/uv pip compile --quiet --no-deps --resolution lowest-direct --no-header --no-annotate \
		--python $(BIN)/python --extra sandbox --output-file $(VENV)/lowest.txt pyproject.toml
	@$(BIN)/uv pip install --python $(BIN)/python --requirement $(VENV)/lowest.txt
	@touch $@
