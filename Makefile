# make iterate                         one round of recipes/addition.yaml; again: the next round
# make iterate RECIPE=times_table ROUNDS=3        RUN=runs/name: another run of the same recipe
# make iterate RECIPE=mbpp_small DATA=folder      a local copy of the recipe's data set, in the hub's format
# make test                            the tests, a round of real training among them; make test-quick: in under a minute
# make test-all                        every test but those of make test-published;  make check: format, lint, types, import contracts, dependencies
RECIPE ?= addition
BIN := .venv/bin
PINS := scripts/setup pyproject.toml $(addprefix requirements/,cpu.txt torch-cpu.txt cuda.txt model.txt)
PYTEST = $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
LONG := engine or ray or corpus or slow

.PHONY: always setup iterate run test test-quick test-rest test-all test-published check bench bench-slow evidence mutate report push clean lock format

iterate run: .venv/.ready
	@$(BIN)/byheart run $(RECIPE) $(if $(DATA),'task.path=$(DATA)') $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(RUN),--run-dir $(RUN))

setup: .venv/.ready

# Told to install system packages, set-up is run again, also where all else is in place.
ifeq ($(BYHEART_SYSTEM_PACKAGES),1)
.venv/.ready .venv/.dev: always
endif
always:

.venv/.ready: $(PINS)
	@scripts/setup

.venv/.dev: $(PINS) requirements/dev.txt requirements/reasoning-gym.txt
	@scripts/setup dev

check: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	scripts/names pipeline scripts recipes
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry pipeline
	$(BIN)/deptry pipeline scripts tests --ignore DEP004

test-quick: .venv/.dev
	$(PYTEST) -m "not (sandbox or train or torch or published or $(LONG))"

test: .venv/.dev
	$(PYTEST) -m "not (published or $(LONG))"

test-rest: .venv/.dev
	$(PYTEST) -m "($(LONG)) and not published"

test-all: .venv/.dev
	$(PYTEST) -m "not published"

build/published/.ready: scripts/published requirements/published.txt requirements/llama-cpp.txt requirements/torch-cpu.txt
	@scripts/published

test-published: .venv/.dev build/published/.ready
	$(PYTEST) -m published tests/publish

bench: .venv/.dev
	$(BIN)/python scripts/bench/driver.py
	$(BIN)/python scripts/bench/strategies.py
	$(BIN)/python scripts/bench/verifiers.py
	$(BIN)/python -m scripts.bench.outside tests/verifiers/outside/open.jsonl tests/verifiers/outside/held_back.jsonl
	$(BIN)/python scripts/bench/fuzz.py
	$(BIN)/python scripts/bench/scaling.py

# What is recorded of the runs behind the figures: see evidence/README.md. EVIDENCE_MINUTES=0 only lists what is missing.
evidence: .venv/.dev
	@scripts/evidence

bench-slow: .venv/.dev
	@$(BIN)/python scripts/bench/slow.py

mutate: .venv/.dev
	@scripts/mutate

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
