#!/bin/sh
# Installs Meshpact into a virtual environment of its own.
#   MESHPACT_PACKAGE  what pip is to install, as in meshpact[contracts]==0.1.0; empty: use the
#                     meshpact that is there
#   MESHPACT_VENV     where to (below RUNNER_TEMP, else .meshpact-ci)
# Where GITHUB_PATH names a file, the following steps find the command.
set -eu

fail() {
    printf 'meshpact: %s\n' "$1" >&2
    exit 2
}

if [ -z "${MESHPACT_PACKAGE:-}" ]; then
    command -v meshpact >/dev/null || fail "there is no meshpact, and MESHPACT_PACKAGE names none to install"
    exit 0
fi
case $MESHPACT_PACKAGE in
-*) fail "MESHPACT_PACKAGE is an option of pip: write meshpact[contracts]==0.1.0" ;;
esac

venv=${MESHPACT_VENV:-${RUNNER_TEMP:+$RUNNER_TEMP/meshpact-venv}}
venv=${venv:-.meshpact-ci}
python=$(command -v python3 || command -v python) || fail "there is no Python: Meshpact needs 3.11 or newer"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$python" --version) is too old: Meshpact needs 3.11 or newer"
"$python" -P -m venv "$venv" # -P: no module of the folder, which may be a change
"$venv/bin/python" -P -m pip install --quiet --disable-pip-version-check "$MESHPACT_PACKAGE" ||
    fail "pip could not install $MESHPACT_PACKAGE; its own words stand above"
venv=$(cd "$venv" && pwd)
if [ -n "${GITHUB_PATH:-}" ]; then
    printf '%s\n' "$venv/bin" >>"$GITHUB_PATH"
fi
"$venv/bin/meshpact" --version
