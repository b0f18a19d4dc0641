#!/bin/sh
# Reviews a change of contracts and writes every report; ends with the exit code of the review:
# 0 nothing to approve, 1 something needs approval, 2 it could not be made.
#   MESHPACT_COMMIT           the commit to compare with, as base.sh prints it
#   MESHPACT_PROTOS           folders of contracts, one a line (protos)
#   MESHPACT_INCLUDE          folders to find imports in, one a line
#   MESHPACT_MESH             mesh.yaml; empty: none
#   MESHPACT_CONFIG           approvals on file; empty: review.yaml if it is there
#   MESHPACT_OWNERS           CODEOWNERS, read from MESHPACT_COMMIT; auto: where the host looks for
#                             it; empty: none
#   MESHPACT_CURRENT_VERSION  the last release of the contracts
#   MESHPACT_REPORTS          folder of the reports (meshpact-reports)
#   MESHPACT_FORMAT           what is printed: github, text (text)
set -eu

fail() {
    printf 'meshpact: %s\n' "$1" >&2
    exit 2
}

reports=${MESHPACT_REPORTS:-meshpact-reports}
commit=${MESHPACT_COMMIT:-}
[ -n "$commit" ] || fail "MESHPACT_COMMIT does not say what to compare with: base.sh prints it"
here=$(dirname "$0")

# `git show` of a file of the base, so that a change does not choose who must approve it.
owners_of_base() {
    case ${MESHPACT_OWNERS:-} in
    '') return 1 ;;
    auto)
        if [ -n "${GITLAB_CI:-}" ]; then
            set -- CODEOWNERS docs/CODEOWNERS .gitlab/CODEOWNERS
        else
            set -- .github/CODEOWNERS CODEOWNERS docs/CODEOWNERS
        fi
        ;;
    *) set -- "$MESHPACT_OWNERS" ;;
    esac
    for path in "$@"; do
        if git show "$commit:$path" >"$reports/CODEOWNERS" 2>/dev/null; then
            return
        fi
    done
    rm -f "$reports/CODEOWNERS"
    return 1
}

mkdir -p "$reports" || fail "the reports cannot be written to $reports"
reports=$(cd "$reports" && pwd) || fail "the reports cannot be written to $reports"
for old in comment.md review.json review.sarif code-quality.json error.txt CODEOWNERS; do
    rm -f "$reports/$old" || fail "$reports/$old, of an earlier run, cannot be removed"
done

set -- review "--against=$commit" "--format=${MESHPACT_FORMAT:-text}"
# shellcheck source=/dev/null
. "$here/options.sh"
[ -z "${MESHPACT_MESH:-}" ] || set -- "$@" "--mesh=$MESHPACT_MESH"
[ -z "${MESHPACT_CONFIG:-}" ] || set -- "$@" "--config=$MESHPACT_CONFIG"
[ -z "${MESHPACT_CURRENT_VERSION:-}" ] || set -- "$@" "--current-version=$MESHPACT_CURRENT_VERSION"
if owners_of_base; then
    syntax=github
    [ -z "${GITLAB_CI:-}" ] || syntax=gitlab
    set -- "$@" "--owners=$reports/CODEOWNERS" "--owners-syntax=$syntax"
fi
set -- "$@" "--write=markdown=$reports/comment.md" "--write=json=$reports/review.json"
set -- "$@" "--write=sarif=$reports/review.sarif" "--write=gitlab=$reports/code-quality.json"

code=0
meshpact "$@" 2>"$reports/error.txt" || code=$?

# What a change writes into an error must not speak to the runner.
if [ -s "$reports/error.txt" ]; then
    quiet=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    [ -z "${GITHUB_ACTIONS:-}" ] || printf '::stop-commands::%s\n' "$quiet" >&2
    cat "$reports/error.txt" >&2
    [ -z "${GITHUB_ACTIONS:-}" ] || printf '\n::%s::\n' "$quiet" >&2
fi
if [ "$code" -gt 2 ] || [ ! -s "$reports/comment.md" ]; then
    python3 -I "$here/failure.py" "$reports/error.txt" >"$reports/comment.md" ||
        printf '### Contract review: it could not be made\n\nThe log of this run says why.\n' \
            >"$reports/comment.md"
    [ "$code" -ne 0 ] && [ "$code" -ne 1 ] || code=2
fi

if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
    cat "$reports/comment.md" >>"$GITHUB_STEP_SUMMARY"
fi
if [ -n "${GITHUB_OUTPUT:-}" ]; then
    version=
    if [ -s "$reports/review.json" ]; then
        version=$(sed -n -e '/"semver": {/,/}/s/^ *"bump": "\([a-z]*\)".*/\1/p' "$reports/review.json" | head -n 1)
    fi
    sarif=
    [ ! -s "$reports/review.sarif" ] || sarif=$reports/review.sarif
    {
        printf 'exit-code=%s\n' "$code"
        printf 'version=%s\n' "$version"
        printf 'reports=%s\n' "$reports"
        printf 'sarif=%s\n' "$sarif"
    } >>"$GITHUB_OUTPUT"
    exit 0 # the step verdict.sh ends the run, once the comment is written
fi
exit "$code"
