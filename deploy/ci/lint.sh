#!/bin/sh
# Lints contracts for GitLab: a Code Quality report, and the findings as text. Ends as the lint does.
#   MESHPACT_PROTOS, MESHPACT_INCLUDE, MESHPACT_MESH, MESHPACT_REPORTS  as for review.sh
set -eu

reports=${MESHPACT_REPORTS:-meshpact-reports}
mkdir -p "$reports"
set -- lint
while IFS= read -r folder; do
    [ -z "$folder" ] || set -- "$@" "--protos=$folder"
done <<END
${MESHPACT_PROTOS:-}
END
while IFS= read -r folder; do
    [ -z "$folder" ] || set -- "$@" "--include=$folder"
done <<END
${MESHPACT_INCLUDE:-}
END
[ -z "${MESHPACT_MESH:-}" ] || set -- "$@" "--mesh=$MESHPACT_MESH"

code=0
meshpact "$@" --format=gitlab >"$reports/lint-quality.json" || code=$?
[ "$code" -ne 1 ] || meshpact "$@" || :
exit "$code"
