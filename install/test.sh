#!/bin/sh
# What `make test` runs: each step says what it is, and the first that fails ends it.
set -eu
bin=.venv/bin
echo "== lint"
$bin/ruff check .
$bin/ruff format --check .
echo "== types"
$bin/mypy
echo "== tests"
rm -f .coverage .coverage.*
$bin/python -m coverage run -m pytest "$@"
$bin/python -m coverage combine --quiet
$bin/python -m coverage report
