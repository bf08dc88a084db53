# make iterate                         one round of recipes/addition.yaml; again: the next round
# make iterate RECIPE=times_table ROUNDS=3        RUN=runs/name: another run of the same recipe
# make test                            the tests;  make check: format, lint, types, import contracts
RECIPE ?= addition
BIN := .venv/bin
PINS := scripts/setup requirements/cpu.txt requirements/cuda.txt

.PHONY: setup iterate run test check bench bench-slow report push clean lock format

iterate run: .venv/.ready
	@$(BIN)/byheart run $(RECIPE) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(RUN),--run-dir $(RUN))

setup: .venv/.ready

.venv/.ready: $(PINS)
	@scripts/setup

.venv/.dev: $(PINS) requirements/dev.txt
	@scripts/setup dev

check: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: .venv/.dev
	$(BIN)/pytest

bench: .venv/.dev
	$(BIN)/python scripts/bench/driver.py
	$(BIN)/python scripts/bench/strategies.py
	$(BIN)/python scripts/bench/verifiers.py
	$(BIN)/python scripts/bench/scaling.py

bench-slow: .venv/.dev
	@$(BIN)/python scripts/bench/slow.py

report: .venv/.ready
	@$(BIN)/byheart report $(or $(RUN),runs/addition)

push: .venv/.ready
	@$(BIN)/byheart publish $(or $(RUN),runs/addition) $(if $(ROUND),--round $(ROUND)) --to $(TO)

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: .venv/.dev
	scripts/lock

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info
