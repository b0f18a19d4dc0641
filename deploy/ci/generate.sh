#!/bin/sh
# Sees that generated code is what the contracts say; ends with 1 where it is out of date.
#   MESHPACT_PROTOS, MESHPACT_INCLUDE  as for review.sh
#   MESHPACT_OUT                       the folder of the generated code (generated)
set -eu

set -- generate --check "--out=${MESHPACT_OUT:-generated}"
# shellcheck source=/dev/null
. "$(dirname "$0")/options.sh"
exec meshpact "$@"
