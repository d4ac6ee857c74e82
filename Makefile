# One command each: `make run` serves the desk, `make test` tests it. Both build what they need first.
SHELL := /bin/sh
HOST ?= 127.0.0.1
PORT ?= 8501
VENV ?= .venv
PY := $(VENV)/bin/python

export STREAMLIT_BROWSER_GATHER_USAGE_STATS := false

.PHONY: help run test test-gpu test-slow check format screenshots venv dev clean

help:
	@echo "make run       install if needed, then serve http://$(HOST):$(PORT)   (HOST=, PORT=, PYTHON= change it)"
	@echo "make test      all tests that need neither a GPU nor much time, Chromium included"
	@echo "make test-gpu  tests that need an NVIDIA card      make test-slow  the long ones"
	@echo "make check     format, lint, types, layering       make format     rewrite in house style"
	@echo "make screenshots  every page, filled, in both themes, into build/screenshots"
	@echo "make clean     remove caches (the virtual environment and your data stay)"

venv:
	@VENV="$(VENV)" sh scripts/venv.sh requirements.txt

dev:
	@VENV="$(VENV)" sh scripts/venv.sh requirements.txt requirements-dev.txt

run: venv
	@"$(PY)" -m core.access "$(HOST)"
	@echo "http://$(HOST):$(PORT)"
	@exec "$(PY)" -m streamlit_app.serve --server.address="$(HOST)" --server.port="$(PORT)" --server.headless=true

test: dev
	@sh scripts/browser.sh
	"$(PY)" -m pytest -n 2 --dist loadfile

test-gpu: dev
	"$(PY)" -m pytest -m gpu

test-slow: dev
	"$(PY)" -m pytest -m slow

check: dev
	"$(PY)" -m ruff format --check .
	"$(PY)" -m ruff check .
	"$(PY)" -m mypy
	"$(VENV)/bin/lint-imports"

screenshots: dev
	@sh scripts/browser.sh
	"$(PY)" -m scripts.screenshots $(PAGES)

format: dev
	"$(PY)" -m ruff format .
	"$(PY)" -m ruff check --fix .

clean:
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find core pages streamlit_app tests scripts -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
