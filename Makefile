# The two commands: `make demo` shows Bulwark at work, `make test` shows that it works.
# Both install what they need by themselves, once, with nothing but python3 (3.11 or newer) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: demo up test quick template check lock build build-local clean

demo: $(STAMP)
	@$(BIN)/bulwark demo

up: $(STAMP)
	@$(BIN)/bulwark up

# Two processes: one takes the workflows on their one cloud, the other begins with all else.
test: $(STAMP)
	@$(BIN)/pytest -n 2

# What tells most within a minute: contracts and units.
quick: $(STAMP)
	@$(BIN)/pytest -n 2 tests/contracts tests/unit

# template.yaml from its fragments, which are where to change it.
template:
	@$(PYTHON) template/join.py

check: $(STAMP)
	$(BIN)/python template/join.py --check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	SAM_CLI_TELEMETRY=0 $(BIN)/sam validate --lint
	$(BIN)/cfn-lint statemachines/observability.yaml statemachines/use_case_alarms.yaml

# What goes to Lambda. Finds a Python 3.13, or says what to install.
build: $(STAMP)
	@$(BIN)/python -m bulwark.local.sam.build

# The same for this machine, in a place of its own: what `sam local invoke --config-env local` runs.
build-local: $(STAMP)
	@$(BIN)/python -m bulwark.local.sam.build --local

$(STAMP): requirements.lock pyproject.toml
	@echo "Installing into $(VENV), once (a minute or so) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Bulwark needs Python 3.11 or newer; PYTHON=python3.x make ... picks one")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(STAMP)

# Pins the whole tree of pyproject.toml's dependencies anew.
lock:
	@rm -rf .venv.lock && $(PYTHON) -m venv .venv.lock
	@.venv.lock/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@.venv.lock/bin/pip list --format freeze --exclude bulwark --exclude pip --exclude setuptools > requirements.lock
	@rm -rf .venv.lock

clean:
	rm -rf $(VENV) .aws-sam .bulwark .pytest_cache .ruff_cache .hypothesis
