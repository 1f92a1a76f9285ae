# `make run` starts the product on this machine; `make test` runs everything that is checked. Both set themselves up.

PYTHON ?= python3
export PYTHON
BIN := .venv/bin
PYTEST_ARGS ?=
# Two processes: most tests wait for others. The tests of one file stay together, and the browser comes last (tests/conftest.py).
AT_ONCE ?= -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: run test test-all faults fuzz lint format lock screenshots first-look bench bench-batch bench-console profile

run:
	@deploy/set_up.sh requirements.lock
	@$(BIN)/python deploy/compile.py
	@exec $(BIN)/python manage.py up

test: set-up-for-tests
	@deploy/lint.sh
	@$(BIN)/python -m pytest $(AT_ONCE) $(PYTEST_ARGS)

# What takes longer as well.
test-all: set-up-for-all-tests
	@deploy/lint.sh
	@$(BIN)/python -m pytest -m "" $(PYTEST_ARGS)

# Every fault, ten minutes of all of them at once, and the table of what became of the jobs.
faults: set-up-for-all-tests
	@$(BIN)/python -m pytest tests/faults -m "" $(PYTEST_ARGS)

# Random files with planted faults and hard numbers through every reader, each so often (FUZZ_EXAMPLES=100000 for more).
fuzz: set-up-for-tests
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-5000} $(BIN)/python -m pytest tests/predictions/test_fuzz_reading.py \
		tests/predictions/test_table_ingests.py::test_a_damaged_file_is_read_or_refused_and_never_breaks_anything $(PYTEST_ARGS)

lint: set-up-for-tests
	@deploy/lint.sh

format: set-up-for-tests
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format .

# Both look at a product that runs: start it with `make run` in another terminal.
screenshots: set-up-for-tests
	@PYTHONPATH=. $(BIN)/python docs/take_screenshots.py

first-look: set-up-for-tests
	@$(BIN)/python -m benchmarks.first_look

# Ours and the plain recipe in one run (docs/performance.md). QUICK=1, ONLY=clients,idle, DATABASE=postgres,
# BENCH_REPORT=file.json.
bench: set-up-for-tests
	@$(BIN)/python -m benchmarks

# Batches of up to a million rows (docs/performance.md). QUICK=1, ONLY=million,recipe,few,growth,bad, BENCH_REPORT=file.json.
bench-batch: set-up-for-tests
	@$(BIN)/python -m benchmarks.batch

# The console beside up to a million jobs, and Flower (docs/performance.md). QUICK=1, ONLY=pages,kill,change,cost,flower,
# DATABASE=postgres.
bench-console: set-up-for-tests
	@$(BIN)/python -m benchmarks.console

# Where the processor's time goes under 32 clients: WHAT=web, worker or both.
profile: set-up-for-tests
	@$(BIN)/python -m benchmarks.profile_of

# Needs uv. The lock files hold hashes and name no package index; torch stands apart (deploy/set_up.sh).
lock:
	@uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml -o requirements.lock
	@uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

.PHONY: set-up-for-tests
set-up-for-tests:
	@deploy/set_up.sh requirements-dev.lock
	@deploy/install_test_tools.sh
	@$(BIN)/python deploy/compile.py

.PHONY: set-up-for-all-tests
set-up-for-all-tests: set-up-for-tests
	@deploy/install_test_tools.sh all
