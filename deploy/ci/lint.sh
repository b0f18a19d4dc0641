#!/bin/sh
# Lints contracts for GitLab: a Code Quality report, and the findings as text. Ends as the lint does.
#   MESHPACT_PROTOS, MESHPACT_INCLUDE, MESHPACT_MESH, MESHPACT_REPORTS  as for review.sh
set -eu

fail() {
    printf 'meshpact: %s\n' "$1" >&2
    exit 2
}

reports=${MESHPACT_REPORTS:-meshpact-reports}
mkdir -p "$reports" || fail "the reports cannot be written to $reports"
rm -f "$reports/lint-quality.json" || fail "the report of an earlier run cannot be removed"
set -- lint
# shellcheck source=/dev/null
. "$(dirname "$0")/options.sh"
[ -z "${MESHPACT_MESH:-}" ] || set -- "$@" "--mesh=$MESHPACT_MESH"

code=0
meshpact "$@" --format=gitlab >"$reports/lint-quality.json" || code=$?
case $code in
0) ;;
1) meshpact "$@" || : ;;
*) rm -f "$reports/lint-quality.json" ;; # it says nothing, and no report is what it means
esac
exit "$code"
