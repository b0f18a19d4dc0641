#!/bin/sh
# Prints the commit that a change is to be compared with, and fetches what a shallow clone lacks
# of it. The checked out commit is never moved.
#   MESHPACT_AGAINST  a commit or a branch of the remote; empty: what the pull or merge request of
#                     this run of GitHub Actions or GitLab CI is to be merged into
#   MESHPACT_REMOTE   the remote (origin)
set -eu

remote=${MESHPACT_REMOTE:-origin}

fail() {
    printf 'meshpact: %s\n' "$1" >&2
    exit 2
}

known() { git cat-file -e "$1^{commit}" 2>/dev/null; }

fetch() { git fetch --quiet --no-tags "$@" >&2; }

# One commit by its full ID.
bring() {
    known "$1" || fetch --depth=1 "$remote" "$1" ||
        fail "commit $1 is not in this clone and cannot be fetched: check out with more depth (fetch-depth: 2, GIT_DEPTH: 2), or with credentials"
    printf '%s\n' "$1"
}

# Where the checked out commit left a branch of the remote; history is fetched bit by bit.
left() {
    branch=$1
    git check-ref-format "refs/heads/$branch" || fail "'$branch' is no name of a branch"
    there=refs/remotes/$remote/$branch
    refspec=+refs/heads/$branch:$there
    head=$(git rev-parse HEAD)
    fetch --depth=1 "$remote" "$refspec" || known "$there" ||
        fail "branch '$branch' cannot be fetched from $remote: check out with credentials, or with fetch-depth: 0"
    for deeper in 0 50 500 5000; do
        if [ "$deeper" -gt 0 ]; then
            fetch --deepen="$deeper" "$remote" "$refspec" "$head" 2>/dev/null ||
                fetch --deepen="$deeper" "$remote" "$refspec" || break
        fi
        if git merge-base "$there" HEAD; then
            return
        fi
        [ "$(git rev-parse --is-shallow-repository)" = true ] || break
    done
    fail "'$branch' and the checked out commit have no commit in common within 5,000 commits: check out with fetch-depth: 0"
}

# The first parent of the checked out commit, which a host made by merging a request.
first_parent() {
    git cat-file commit HEAD | sed -n -e '/^$/q' -e 's/^parent //p' | head -n 1
}

is_full_id() {
    case $1 in
    *[!0-9a-f]*) return 1 ;;
    esac
    [ ${#1} -eq 40 ] || [ ${#1} -eq 64 ]
}

if [ -n "${MESHPACT_AGAINST:-}" ]; then
    case $MESHPACT_AGAINST in
    -*) fail "'$MESHPACT_AGAINST' is no commit and no branch" ;;
    esac
    if is_full_id "$MESHPACT_AGAINST"; then
        bring "$MESHPACT_AGAINST"
    elif known "$MESHPACT_AGAINST"; then
        git rev-parse --verify --quiet "$MESHPACT_AGAINST^{commit}"
    else
        left "${MESHPACT_AGAINST#"$remote/"}"
    fi
    exit
fi

checked_out=$(git rev-parse HEAD) || fail "this is no clone of a git repository"
if [ -n "${GITHUB_BASE_REF:-}" ]; then
    case ${GITHUB_REF:-} in
    refs/pull/*/merge)
        if [ "$checked_out" = "${GITHUB_SHA:-}" ]; then
            bring "$(first_parent)"
            exit
        fi
        ;;
    esac
    left "$GITHUB_BASE_REF"
elif [ -n "${CI_MERGE_REQUEST_IID:-}" ]; then
    case ${CI_MERGE_REQUEST_EVENT_TYPE:-} in
    merged_result | merge_train)
        bring "$(first_parent)"
        exit
        ;;
    esac
    if [ -n "${CI_MERGE_REQUEST_DIFF_BASE_SHA:-}" ]; then
        bring "$CI_MERGE_REQUEST_DIFF_BASE_SHA"
    else
        left "${CI_MERGE_REQUEST_TARGET_BRANCH_NAME:?}"
    fi
else
    fail "this is no run for a pull or merge request: say what to compare with (MESHPACT_AGAINST)"
fi
