#!/bin/sh
# Makes .venv from one lock file and torch; does nothing where that has been done for the same lock file.
# Usage: PYTHON=python3 deploy/set_up.sh requirements.lock
set -eu
cd "$(dirname "$0")/.."
lock=$1
python=${PYTHON:-python3}
torch=2.13.0
stamp=.venv/set-up-$lock

stop() {
    echo "$1" >&2
    exit 1
}

command -v "$python" >/dev/null 2>&1 ||
    stop "$python was not found. Install Python 3.11 or newer, or name one: make run PYTHON=/path/to/python3."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    stop "$("$python" --version) is too old. Install Python 3.11 or newer, or name one: make run PYTHON=python3.11."

wanted() {
    "$python" --version
    echo "${TORCH_SPEC:-torch==$torch}"
    cat "$lock"
}

if [ -x .venv/bin/python ] && wanted | cmp -s - "$stamp"; then
    exit 0
fi

if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    echo "Making the virtual environment .venv"
    # Debian's python3 comes without ensurepip: then the pip that is installed puts one in.
    "$python" -m venv --clear .venv >/dev/null 2>&1 || {
        "$python" -m venv --clear --without-pip .venv &&
            "$python" -m pip --python .venv/bin/python install -qq pip
    } || stop "No virtual environment could be made. Install Python's venv and pip (Debian, Ubuntu: apt-get install python3-venv)."
fi

pip() {
    .venv/bin/python -m pip --disable-pip-version-check "$@"
}

# Torch stands apart from the lock: its CPU and CUDA wheels differ. A plain `torch` is the CUDA build on x86-64 Linux,
# with 18 packages and several GB, and is never fetched by accident.
install_torch() {
    if [ -n "${TORCH_SPEC:-}" ]; then
        pip install -qq "$TORCH_SPEC"
    elif pip install -qq --no-deps "torch==$torch+cpu" 2>/dev/null; then
        :
    elif [ "$(uname -sm)" = "Linux x86_64" ]; then
        stop "torch==$torch+cpu was not found. Set PIP_EXTRA_INDEX_URL to PyTorch's CPU wheel index, or TORCH_SPEC=torch==$torch for the CUDA build, and start again."
    else
        pip install -qq "torch==$torch"
    fi
}

echo "Installing $lock (the first time takes a minute or two)"
pip install -qq --require-hashes -r "$lock" ||
    stop "The packages of $lock could not be installed; pip's own words stand above."
echo "Installing torch $torch"
install_torch
wanted >"$stamp"
