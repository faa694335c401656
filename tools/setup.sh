#!/usr/bin/env bash
# Makes the environment: bash tools/setup.sh
#
#   VENV=.venv             the folder it is made in
#   PYTHON=python3.12      the interpreter, 3.10 to 3.13; without it the first fitting one on the path
#   MMF=rc10|main|FOLDER   MMF's release on PyPI (the default), GitHub's main, or a checkout
#   TORCH_INDEX_URL=URL    an index to look for torch in beside the usual one, such as PyTorch's own of CPU-only builds
#
# Tests of pages start a browser, which is no package of Python's: Debian and Ubuntu have it as `apt-get install chromium`
# (a system without it skips these tests, and says so).
#
# Safe to repeat: where nothing it depends on has changed, it ends at once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=${VENV:-.venv}
mmf=${MMF:-rc10}
say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }
fits() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; }

find_python() {
  local candidate
  for candidate in python3 python python3.11 python3.12 python3.13 python3.10; do
    if command -v "$candidate" >/dev/null && fits "$candidate"; then echo "$candidate"; return; fi
  done
  fail "found no Python 3.10 to 3.13 on the path; name one with PYTHON=/path/to/python"
}

if [ -n "${PYTHON:-}" ]; then
  command -v "$PYTHON" >/dev/null || fail "PYTHON=$PYTHON does not exist"
  fits "$PYTHON" || fail "PYTHON=$PYTHON is $("$PYTHON" --version 2>&1), but Python 3.10 to 3.13 is needed"
  python=$PYTHON
elif [ -x "$venv/bin/python" ] && fits "$venv/bin/python"; then
  python=$venv/bin/python
else
  python=$(find_python)
fi
[ "$mmf" = rc10 ] || [ "$mmf" = main ] || [ -d "$mmf" ] || fail "MMF=$mmf is neither 'rc10' nor 'main' nor a folder"
[ ! -d "$mmf" ] || mmf=$(cd "$mmf" && pwd)

version=$("$python" -c 'import sys; print(*sys.version_info[:3], sep=".")')
hash_of() { "$python" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'; }
base_key=$( (echo "$version ${TORCH_INDEX_URL:-} $PWD"; cat constraints.txt pyproject.toml setup.py tools/setup.sh) | hash_of)
mmf_key=$( (echo "$base_key $mmf"; cat mmf_visualbert/install_mmf.py) | hash_of)
base_stamp=$venv/packages.stamp
mmf_stamp=$venv/mmf.stamp
current() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }
if current "$base_stamp" "$base_key" && current "$mmf_stamp" "$mmf_key"; then exit 0; fi

if ! [ -x "$venv/bin/python" ] ||
  [ "$("$venv/bin/python" -c 'import sys; print(*sys.version_info[:3], sep=".")' 2>/dev/null)" != "$version" ]; then
  say "making $venv with Python $version"
  "$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "this Python has no venv or ensurepip; install your system's package for it, such as python3-venv"
  rm -f "$base_stamp" "$mmf_stamp"
  "$python" -m venv --clear "$venv"
fi
python=$venv/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK=1
# pip speaks of folders and caches that are none of the user's business; errors still show
pip() { "$python" -m pip --quiet "$@"; }

if ! current "$base_stamp" "$base_key"; then
  rm -f "$base_stamp" "$mmf_stamp"
  torch_index=()
  [ -z "${TORCH_INDEX_URL:-}" ] || torch_index=(--extra-index-url "$TORCH_INDEX_URL")
  say "installing torch, the largest part (1 of 3)"
  pip install -c constraints.txt ${torch_index[@]+"${torch_index[@]}"} torch torchvision
  say "installing everything else (2 of 3)"
  pip install -c constraints.txt setuptools wheel
  pip install -c constraints.txt --no-build-isolation -e ".[test,serve,site,mmf-main]"
  echo "$base_key" > "$base_stamp"
fi

say "installing MMF: $mmf (3 of 3)"
rm -f "$mmf_stamp"
"$python" -m mmf_visualbert install-mmf "$mmf"
echo "$mmf_key" > "$mmf_stamp"
say "done: $venv ($("$python" -c 'import platform; print("Python", platform.python_version())'), MMF $mmf); activate it with 'source $venv/bin/activate'"
