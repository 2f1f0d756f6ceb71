# Two commands do all: `make localize VIDEO=clip.mp4 LABELS="dog barking,train"` and `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
MODEL ?= audioclip
OUT ?= out

.PHONY: help install dev localize test test-slow check format benchmark clean

help:
	@echo 'make localize VIDEO=clip.mp4 LABELS="dog barking,train"   set up and localize; results in $(OUT)/'
	@echo 'make test         set up and run the tests'
	@echo 'make test-slow    the tests that need minutes'
	@echo 'make check        ruff and mypy'
	@echo 'make benchmark    how fast the encoders are on this machine'
	@echo 'make clean        remove the environment'

# constraints.txt makes pip take the CPU build of torch where one is at hand.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.developing: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

install: $(VENV)/.installed

dev: $(VENV)/.developing

localize: install
	@test -n "$(VIDEO)" || { echo 'Which video? make localize VIDEO=clip.mp4 LABELS="dog barking,train"'; exit 2; }
	$(BIN)/tvsl localize "$(VIDEO)" $(if $(LABELS),--labels "$(LABELS)") --model "$(MODEL)" --output "$(OUT)" --force

test: dev
	$(BIN)/python -m pytest

test-slow: dev
	$(BIN)/python -m pytest -m slow

check: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: dev
	$(BIN)/python benchmarks/encoders.py

clean:
	rm -rf $(VENV)
