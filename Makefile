# make demo   creates the environment and runs the main job on the embedded paper exchange
# make test   creates the environment and runs the tests
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST_ARGS ?=

# of the long runs
SEED ?= 1
DAYS ?= 40
TRANSITIONS ?= 1000000
N ?= 1000
MINUTES ?= 30
HOURS ?= 1

.PHONY: install demo test check format lint lock clean oracle replay-crash benchmark corrections compared remedies budgets simulate simulate-states crashtest sinks fuzz soak

install: $(STAMP)

$(STAMP): requirements-dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "perpwatch needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: install
	$(BIN)/perpwatch demo

test: install
	$(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

# Long runs that print tables; each exits 1 where a bound does not hold.
oracle: install
	$(BIN)/python -m benchmarks.oracle

replay-crash: install
	$(BIN)/python -m benchmarks.replay_crash

benchmark: install
	$(BIN)/python -m benchmarks.reading
	$(BIN)/python -m benchmarks.delivery
	$(BIN)/python -m benchmarks.idle
	$(BIN)/python -m benchmarks.evaluating

# What plain ccxt tells of positions at each venue, and what perpwatch tells, beside the truth.
corrections: install
	$(BIN)/python -m benchmarks.corrections

# How many figures of how many accounts the venues' tests compare, and what they spoil.
compared: install
	$(BIN)/python -m benchmarks.compared

# Each rule's remedies, done on the paper exchange by random accounts.
remedies: install
	$(BIN)/python -m benchmarks.remedies

# How many accounts one egress address reads at which interval; the table of ARCHITECTURE.md.
budgets: install
	$(BIN)/python -m benchmarks.budgets

# DAYS account-days from SEED on; with OUT=file long runs go on where they stopped, and their figures add up.
simulate: install
	$(BIN)/python -m tests.simulation --days $(DAYS) --seed $(SEED) $(if $(OUT),--out $(OUT))

simulate-states: install
	$(BIN)/python -m tests.simulation.states --transitions $(TRANSITIONS) --seed $(SEED)

# kill -9 N times at random instants, drawn from SEED.
crashtest: install
	$(BIN)/python -m benchmarks.crashtest --kills $(N) --seed $(SEED)

# MINUTES of hostile input for each: configurations, venues' replies, names in messages.
fuzz: install
	$(BIN)/python -m benchmarks.fuzz --what yaml --minutes $(MINUTES) --seed $(SEED)
	$(BIN)/python -m benchmarks.fuzz --what venues --minutes $(MINUTES) --seed $(SEED)
	$(BIN)/python -m benchmarks.fuzz --what messages --minutes $(MINUTES) --seed $(SEED)

# The real process for HOURS, ten accounts each second, in bad company.
soak: install
	$(BIN)/python -m benchmarks.soak --hours $(HOURS) --seed $(SEED)

# A healthy channel beside sick ones.
sinks: install
	$(BIN)/python -m benchmarks.sinks --seed $(SEED)

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Needs uv; the lock holds names, versions and hashes only.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		pyproject.toml --extra build -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		-c requirements.lock pyproject.toml --extra build --extra dev -o requirements-dev.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
