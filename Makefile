# make run    set up what is missing, then run oose in the foreground
# make test   set up what is missing, then lint, types and all tests
# make test-install  the installer on a Debian of its own, in a folder; root, or with sudo
# make cluster  set up what is missing, then run a cluster to try: docs/cluster.md
# make bench  the measurements that docs and decisions quote
# Each may be run again at any time; what is there already is left alone.

VENV := .venv
PYTHON := $(VENV)/bin/python
STAMPS := .build
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: run test test-install cluster bench lint format clean

run: $(STAMPS)/run
	@echo "Starting oose with config/local.py; stop it with Ctrl-C"
	@exec $(VENV)/bin/twistd -n --pidfile= oose --config config/local.py

test: $(STAMPS)/test $(STAMPS)/npm $(STAMPS)/couchdb
	@sh install/test.sh

test-install: $(STAMPS)/test $(STAMPS)/couchdb
	@sh install/packages.sh debootstrap mount
	@as_root=$$([ "$$(id -u)" = 0 ] || echo "sudo -E"); $$as_root $(PYTHON) -m pytest tests/install

cluster: $(STAMPS)/run $(STAMPS)/couchdb
	@sh install/packages.sh redis-server
	@$(PYTHON) -m install.cluster

bench: $(STAMPS)/test $(STAMPS)/couchdb
	@sh install/packages.sh wrk nginx
	@$(PYTHON) -m benchmarks

lint: $(STAMPS)/test
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy

format: $(STAMPS)/test
	@$(VENV)/bin/ruff check --fix . ; $(VENV)/bin/ruff format .

$(PYTHON): install/packages.sh
	@echo "Making the virtual environment $(VENV)"
	@sh install/packages.sh python3-venv
	@python3 -m venv $(VENV)
	@touch $(PYTHON)

$(STAMPS)/run: $(PYTHON) requirements.lock pyproject.toml setup.py
	@echo "Installing oose and what it needs into $(VENV)"
	@$(PYTHON) -m pip install --quiet --requirement requirements.lock
	@$(PYTHON) -m pip install --quiet --no-deps --editable . --config-settings editable_mode=compat
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/test: $(STAMPS)/run requirements-dev.lock
	@echo "Installing what the tests need"
	@$(PYTHON) -m pip install --quiet --requirement requirements-dev.lock
	@sh install/packages.sh chromium ffmpeg nginx curl openssl redis-server systemd util-linux \
		iproute2 logrotate nftables procps
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/npm: tests/conformance/package-lock.json
	@echo "Installing the Node.js client for the conformance run"
	@cd tests/conformance && npm ci --silent --no-audit --no-fund
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/couchdb: tests/couchdb/package-lock.json
	@echo "Installing a server that speaks CouchDB's protocol"
	@cd tests/couchdb && npm ci --silent --no-audit --no-fund --ignore-scripts
	@mkdir -p $(STAMPS) && touch $@

clean:
	rm -rf $(VENV) $(STAMPS) tests/conformance/node_modules tests/couchdb/node_modules
