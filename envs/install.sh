#!/bin/sh
# Builds .venv from envs/requirements.lock: exactly those versions, checked by hash.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "expected Python 3.11 or newer, found $("$python" --version 2>&1); run: make PYTHON=/path/to/python3.11" >&2
  exit 1
}
echo "building .venv from envs/requirements.lock (about 6 GB on disk; minutes on a slow line)"
.venv/bin/python -m pip --version > /dev/null 2>&1 || "$python" -m venv --clear .venv
installer=$(mktemp)
trap 'rm -f "$installer"' EXIT
awk '/^uv==/ {on = 1} on {print} on && !/\\$/ {exit}' envs/requirements.lock > "$installer"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$installer"
# Compiled at once: hundreds of short processes follow, and where PYTHONDONTWRITEBYTECODE is set none would keep its own.
.venv/bin/uv pip sync --quiet --system-certs --compile-bytecode --python .venv/bin/python --require-hashes envs/requirements.lock
.venv/bin/uv pip install --quiet --system-certs --python .venv/bin/python --no-deps --no-build-isolation --editable .
