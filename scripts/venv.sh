#!/bin/sh
# Makes the virtual environment and installs the given requirement files, only when something changed.
# Usage: VENV=.venv [PYTHON=python3.12] sh scripts/venv.sh requirements.txt [requirements-dev.txt]
set -eu
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}
. scripts/privilege.sh

say() { printf '%s\n' "$*" >&2; }

# True when $1 runs and is Python 3.11 or newer (a pyenv shim may exist for a version that is not installed).
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# True when $1 can make virtual environments with pip inside.
makes_venvs() { "$1" -c 'import venv, ensurepip' >/dev/null 2>&1; }

# Prints the interpreter to use: the newest that makes virtual environments; with "any", the newest at all.
find_python() {
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        if new_enough "$candidate" && { [ "${1:-}" = any ] || makes_venvs "$candidate"; }; then
            printf '%s' "$candidate"
            return 0
        fi
    done
    return 1
}

# Prints a fitting interpreter, after installing the Debian package that is missing when that is allowed.
obtain_python() {
    find_python && return 0
    if found=$(find_python any); then
        version=$("$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        needed="python$version-venv"
        say "$found ($version) has no venv/ensurepip."
    else
        needed="python3 python3-venv"
        say "No Python 3.11 or newer was found."
    fi
    say "Installing $needed ..."
    # shellcheck disable=SC2086  # several packages
    if apt_install $needed >&2 && find_python; then
        return 0
    fi
    say "Could not install it here. On Debian or Ubuntu run:"
    say "    sudo apt-get update && sudo apt-get install $needed"
    say "then repeat the command. Elsewhere install Python 3.11-3.13 from https://www.python.org/ ;"
    say "PYTHON=/path/to/python make ... chooses an interpreter by hand."
    return 1
}

if ! "$VENV/bin/python" -c 'import pip' >/dev/null 2>&1; then
    python=$(obtain_python)
    say "Creating $VENV with $("$python" --version 2>&1) ..."
    "$python" -m venv --clear "$VENV"
fi

# One stamp for each requirement file holds the checksum of what was installed from it.
stamp() { printf '%s/.installed-%s' "$VENV" "$(basename "$1")"; }
changed=
for file in "$@"; do
    [ "$(cat "$(stamp "$file")" 2>/dev/null)" = "$(cksum <"$file")" ] || changed=yes
done
[ -n "$changed" ] || exit 0

pip() { "$VENV/bin/python" -m pip "$@" --disable-pip-version-check --quiet --retries 5; }
torch=$(sed -n 's/^\(torch==[^ #]*\).*/\1/p' requirements.txt)
say "Installing the packages of $* (the first time this downloads PyTorch and takes some minutes) ..."
# PyTorch goes first and alone: it is by far the largest download, and a failure of it then names it.
pip install "$torch" || { say "Could not install $torch: see pip's message above; check network and free disk."; exit 1; }
for file in "$@"; do
    pip install -r "$file" || { say "Could not install $file: see pip's message above."; exit 1; }
    cksum <"$file" >"$(stamp "$file")"
done
