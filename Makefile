# Two commands do everything, set-up included: `make demo` and `make test`.
.PHONY: demo train-demo test check sweep bench setup setup-dev clean help

PYTHON := .venv/bin/python

help:
	@echo "make demo    set up, then learn Trac from its handbook and measure: a table, and runs/demo/report.html"
	@echo "make train-demo  set up, then train a small language model on two cores and measure it: runs/train-demo"
	@echo "make test    set up for development, then all checks and all tests"
	@echo "make sweep   all tasks on Trac and of MiniWoB++, each by its solution: six minutes"
	@echo "make check   lint, format, types and the fast tests"
	@echo "make bench   speed of the command line, of retrieval, of the web environment, of model calls and of sandboxes"
	@echo "make clean   remove the virtual environment and caches; runs/ stays"

setup:
	@scripts/setup.sh

setup-dev:
	@scripts/setup.sh dev

demo: setup
	.venv/bin/lbi run configs/trac.toml --out runs/demo

train-demo:
	@scripts/setup.sh train,local
	scripts/train_demo.sh

# types beside the tests, many of which wait
check: setup-dev
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	@types=$$(mktemp); $(PYTHON) -m mypy > $$types 2>&1 & mypy=$$!; \
	$(PYTHON) -m pytest -m "not browser and not slow" -n auto; tests=$$?; \
	wait $$mypy; failed=$$?; cat $$types; rm -f $$types; exit $$((tests || failed))

# most of the slow ones wait for processes and limits of time; browsers want the cores
test: check
	$(PYTHON) -m pytest -m "slow and not browser" -n 3 --dist worksteal --durations=5
	$(PYTHON) -m pytest -m "browser and not sweep" -n 2 --dist worksteal --durations=5

# before a release, and after a change of tasks or of what carries them out
sweep: setup-dev
	$(PYTHON) -m pytest -m sweep -n 2 --durations=5

bench: setup-dev
	$(PYTHON) performance/help.py
	$(PYTHON) performance/retrieve.py
	$(PYTHON) performance/web.py
	$(PYTHON) performance/engine.py
	$(PYTHON) performance/sandbox.py

clean:
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
