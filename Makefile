# Every path is relative and every tool is called as `.venv/bin/python -m ...`: both work in a
# directory whose name has spaces, where absolute paths in rules and script shebangs do not.

PY := .venv/bin/python
STAMP := .venv/stamp

.PHONY: demo test check bench clean

demo: $(STAMP)  ## a real MCP client writes a model, runs it on two workers and reads the result
	@$(PY) -m mcp_gateway.demo

test: $(STAMP)  ## every test; the quick ones alone: .venv/bin/python -m pytest -m 'not process'
	$(PY) -m pytest

check: $(STAMP)  ## style and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

bench: $(STAMP)  ## one table; more with: .venv/bin/python -m bench --help
	$(PY) -m bench

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The first python that starts, is 3.11 or newer and can make environments; PYTHON=... chooses another.
# The stamp is written last, so that an installation that was cut off is made again.
$(STAMP): pyproject.toml constraints.txt
	@set -eu; \
	fits='import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))'; \
	for python in $${PYTHON:-python3.11 python3.12 python3.13 python3 python3.14}; do \
	  if "$$python" -c "$$fits" >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
	  echo "make: no Python 3.11 or newer with venv found; install one or give PYTHON=/path/to/python" >&2; \
	  exit 1; \
	fi; \
	echo "making .venv with $$("$$found" --version); this takes a minute the first time"; \
	rm -rf .venv; \
	"$$found" -m venv .venv; \
	$(PY) -m pip --disable-pip-version-check install --quiet --quiet --constraint constraints.txt --editable '.[dev]'; \
	touch $(STAMP)
