#!/bin/sh
# Builds .venv from envs/requirements.lock: exactly those versions, checked by hash.
# PYTHON names the interpreter; without it the first of the served ones that runs is taken.
# TORCH names a build of PyTorch (cpu, cu128, …: what uv's --torch-backend takes); lock is the lock's own. What was asked
# for last holds.
set -eu
cd "$(dirname "$0")/.."

# A name on PATH need not run: version managers leave one for each version that is installed but not chosen.
serves() {
  "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2> /dev/null
}

if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3.11 python3.12 python3.13 python3; fi
python=
for candidate; do
  if serves "$candidate"; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  found=$("$candidate" --version 2> /dev/null) || found="none that runs as $candidate"
  echo "expected Python 3.11, 3.12 or 3.13, found $found; install one, or run: make PYTHON=/path/to/python3.12" >&2
  exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2> /dev/null; then
  echo "expected $("$python" --version) with venv, found none; on Debian and Ubuntu: apt install python3-venv" >&2
  exit 1
fi

torch=${TORCH:-$(cat .venv/torch 2> /dev/null || echo lock)}
room="about 6 GB on disk"
if [ "$torch" = cpu ]; then room="without libraries of a GPU"; fi
echo "building .venv from envs/requirements.lock with $("$python" --version) ($room; minutes on a slow line)"
if ! { serves .venv/bin/python && .venv/bin/python -m pip --version > /dev/null 2>&1; }; then
  "$python" -m venv --clear .venv
fi
installer=$(mktemp)
trap 'rm -f "$installer"' EXIT
awk '/^uv==/ {on = 1} on {print} on && !/\\$/ {exit}' envs/requirements.lock > "$installer"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$installer"
# A home without write permission has no place for a cache.
mkdir -p "${UV_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/uv}" 2> /dev/null || export UV_NO_CACHE=1
# Compiled at once: hundreds of short processes follow, and where PYTHONDONTWRITEBYTECODE is set none would keep its own.
sync() {
  .venv/bin/uv pip sync --quiet --system-certs --compile-bytecode --python .venv/bin/python --require-hashes "$1"
}
if [ "$torch" = lock ]; then
  sync envs/requirements.lock
else
  # Other builds have other hashes, and need other libraries of a GPU or none.
  rest=$(mktemp)
  trap 'rm -f "$installer" "$rest"' EXIT
  awk '/^[^ ]/ {on = !/^(torch|torchvision|torchaudio|triton|cuda-[a-z]+|nvidia-[a-z0-9-]+)==/} on' envs/requirements.lock > "$rest"
  sync "$rest"
  # shellcheck disable=SC2046 # a word for each package
  .venv/bin/uv pip install --quiet --system-certs --compile-bytecode --python .venv/bin/python --torch-backend "$torch" \
    $(sed -nE 's/^((torch|torchvision|torchaudio)==[^ ;]+).*/\1/p' envs/requirements.lock)
fi
.venv/bin/uv pip install --quiet --system-certs --python .venv/bin/python --no-deps --no-build-isolation --editable .
echo "$torch" > .venv/torch
