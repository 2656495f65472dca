# Every target sets itself up in .venv, from hashed locks, and does it once: a second run starts at once.

.PHONY: up test check lock
.DEFAULT_GOAL := up

PYTHON := .venv/bin/python

up: ## the running portal with a demo estate; ARGS="--empty --port 9000" is passed on
	@sh .ci/setup requirements.lock
	@exec $(PYTHON) manage.py up $(ARGS)

test: ## every test; ARGS="tests/unit -x" is passed on
	@sh .ci/setup tests/requirements.lock
ifdef ARGS
	@exec $(PYTHON) -m pytest $(ARGS)
else
	@$(PYTHON) -m pytest -n auto --dist worksteal --ignore=tests/e2e
	@exec $(PYTHON) -m pytest -n auto --dist worksteal tests/e2e # apart: a browser's driver keeps its event loop running
endif

check: ## what needs no test run: style, types, floors, migrations
	@sh .ci/setup tests/requirements.lock
	@sh .ci/check

lock: ## write both locks anew from pyproject.toml
	@sh .ci/setup tests/requirements.lock
	@sh .ci/lock
