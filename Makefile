# Every command of this project. `make` alone lists them; each installs what it needs into .venv first.

PY := .venv/bin/python
INSTALL := forjinn/embedded/install.sh
COMPILE := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
APPS := apikeys chatflows engine forjinn predictions workspaces
LOCKS := requirements.lock requirements-run.lock requirements-test.lock requirements-uv.lock
# Of `fuzz`: calls of each kind to each operation, and where the choice of them begins.
EXAMPLES := 200
SEED := $(shell date +%s)
# Nothing listens there: what `check` runs must not need a database, and must not find one by chance.
NO_SERVICES := DATABASE_URL=postgresql://127.0.0.1:1/none REDIS_URL=redis://127.0.0.1:1/0
# Of `test`: processes side by side, each with services of its own. Services that are given can serve one only.
WORKERS := $(if $(DATABASE_URL)$(REDIS_URL),0,2)

.PHONY: help setup run stop test fuzz check bench openapi lock clean

help:  ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

setup:  ## Install everything that development needs into .venv
	@$(INSTALL) test

run:  ## Start the whole platform: PostgreSQL, Valkey, a small model, web and worker
	@$(INSTALL) run
	@exec $(PY) manage.py up

stop:  ## Stop what `make run` started
	@test -x $(PY) || { echo "Nothing is installed here, so nothing runs."; exit 0; }
	@$(PY) manage.py stop

test: setup  ## Run every test, the fast ones first, against services of their own
	$(PY) -m pytest -n $(WORKERS) --dist loadfile tests/engine
	$(PY) -m pytest -n $(WORKERS) --dist loadfile tests --ignore=tests/engine -m "not alone"
	$(PY) -m pytest tests/journeys -m alone

fuzz: setup  ## Send the API many more calls of every kind; EXAMPLES=1000 of each, SEED=7 for the same again, ARGS="-k roles"
	FUZZ_EXAMPLES=$(EXAMPLES) $(PY) -m pytest tests/forjinn/test_schema_fuzz.py --hypothesis-seed=$(SEED) $(ARGS)

check: setup  ## Format, lint, types, import rules, migrations, locks, container files, weak spots, licences, secrets
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	.venv/bin/lint-imports
	$(PY) -m mypy .
	$(NO_SERVICES) $(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	.venv/bin/hadolint docker/Dockerfile
	.venv/bin/check-jsonschema --builtin-schema vendor.compose-spec docker/compose.yaml
	for script in $(INSTALL) .ci/run docker/*.sh; do bash -n $$script || exit 1; done
	.venv/bin/bandit --quiet --configfile pyproject.toml --severity-level medium --recursive $(APPS)
	$(PY) .ci/licences.py requirements.lock
	$(PY) .ci/secrets.py
	$(PY) .ci/audit.py requirements.lock
	! grep -nE '://|--index|--find-links' $(LOCKS)  # a lock that names a host works in one place only
	! git grep -n '"resolved"' -- '*package-lock.json'
	! git ls-files '*.py' | xargs wc -l | awk '$$1 > 600 && $$2 != "total"' | grep .  # files too long to read

bench: setup  ## Measure the budgets of docs/performance.md; ARGS="--only streams" for a part
	$(PY) -m benchmarks $(ARGS)

openapi: setup  ## Write docs/api/openapi.yaml anew, and the routes of docs/security.md
	$(NO_SERVICES) $(PY) manage.py spectacular --validate --fail-on-warn --file docs/api/openapi.yaml
	$(NO_SERVICES) $(PY) manage.py route_table --write

lock: setup  ## Bring the lock files up to pyproject.toml; ARGS="--upgrade" for the newest versions
	$(COMPILE) $(ARGS) --group uv -o requirements-uv.lock
	$(COMPILE) $(ARGS) pyproject.toml --extra anthropic --extra retrieval -o requirements.lock
	$(COMPILE) $(ARGS) pyproject.toml --extra anthropic --extra retrieval --extra embedded -o requirements-run.lock
	$(COMPILE) $(ARGS) pyproject.toml --extra anthropic --extra retrieval --extra vertex --extra embedded --group dev -o requirements-test.lock

clean:  ## Remove .venv and caches; data in var/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './node_modules/*' -exec rm -rf {} +
