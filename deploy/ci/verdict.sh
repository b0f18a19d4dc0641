#!/bin/sh
# Ends a run as its review did.
#   MESHPACT_EXIT_CODE  of review.sh; empty: it did not get that far
#   MESHPACT_FAIL       true: what needs approval fails the run
set -eu
case ${MESHPACT_EXIT_CODE:-} in
0) exit 0 ;;
1)
    [ "${MESHPACT_FAIL:-true}" = true ] || exit 0
    echo "meshpact: the change needs approval: review.yaml has room for it, see the comment for IDs" >&2
    exit 1
    ;;
*) exit 2 ;;
esac
