#!/bin/sh
# What `make test` runs: each step says what it is, and the first that fails ends it.
# With arguments, pytest's own, only the tests that they name run.
set -eu
bin=.venv/bin
if [ $# -gt 0 ]; then
    exec $bin/python -m pytest "$@"
fi
echo "== lint"
$bin/ruff check .
$bin/ruff format --check .
echo "== types"
$bin/mypy
measured="--cov --cov-report= --cov-fail-under=0"
rm -f .coverage .coverage.*
echo "== tests"
# Those that take longest begin; a file's tests stay together, as they share their servers.
$bin/python -m pytest $measured -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder \
    tests/simulation tests/stateful tests/cli tests/contract tests/machine tests/process tests/unit
echo "== tests of whole clusters, which have the machine to themselves"
$bin/python -m pytest $measured --cov-append tests/probe
$bin/python -m coverage report
