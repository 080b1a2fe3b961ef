# One command each on a bare machine with Python 3.11 or later.
PYTHON ?= python3
DEPS := .venv/.installed

.PHONY: run test dev lint docs
run: $(DEPS)
	.venv/bin/malsugoi run

test: $(DEPS)
	.venv/bin/pytest -n auto --dist loadfile

dev: $(DEPS)
	.venv/bin/malsugoi dev

lint: $(DEPS)
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

docs: $(DEPS)
	.venv/bin/sphinx-build -q -W --keep-going -b html docs site

$(DEPS): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("MALSugoi needs Python 3.11 or later; set PYTHON=python3.11")'
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	touch $@
