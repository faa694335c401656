#!/usr/bin/env bash
# Makes the environment if it is not there, checks the code's style and types and runs all tests: bash tools/test.sh [pytest's arguments]
#
#   TEST_PROCESSES=2       how many run the tests; -n among the arguments decides instead
#   VENV, PYTHON, MMF and TORCH_INDEX_URL as tools/setup.sh takes them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash tools/setup.sh
python=${VENV:-.venv}/bin/python
# Tests are small: several threads would spend their time waiting for each other.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} MKL_NUM_THREADS=${MKL_NUM_THREADS:-1} TOKENIZERS_PARALLELISM=false
# No test may depend on a download.
export HF_HUB_OFFLINE=1

echo "test: ruff" >&2
"$python" -m ruff check .
"$python" -m ruff format --check .
echo "test: mypy" >&2
"$python" -m mypy
echo "test: pytest" >&2
processes=(-n "${TEST_PROCESSES:-2}")
for argument in "$@"; do
  case $argument in -n* | --numprocesses*) processes=() ;; esac
done
"$python" -m pytest ${processes[@]+"${processes[@]}"} "$@"
