# make iterate                         one round of recipes/addition.yaml; again: the next round
# make iterate RECIPE=times_table ROUNDS=3
# make test                            the tests;  make check: format, lint, types, import contracts
RECIPE ?= addition
ROUNDS ?= 1
RUN ?= runs/$(notdir $(basename $(RECIPE)))
BIN := .venv/bin

.PHONY: setup iterate run test check bench report clean lock format

iterate run: .venv/.ready
	@$(BIN)/byheart run $(RECIPE) --rounds $(ROUNDS) --run-dir $(RUN)

setup: .venv/.ready

.venv/.ready: scripts/setup requirements/cpu.txt requirements/cuda.txt
	@scripts/setup

.venv/.dev: scripts/setup requirements/dev.txt requirements/cpu.txt requirements/cuda.txt
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

report: .venv/.ready
	@$(BIN)/byheart report $(RUN)

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: .venv/.dev
	scripts/lock

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build *.egg-info
