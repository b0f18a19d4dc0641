#!/bin/sh
# Read by other scripts: adds --protos and --include to their arguments.
#   MESHPACT_PROTOS   folders of contracts, one a line (protos)
#   MESHPACT_INCLUDE  folders to find imports in, one a line
set -eu

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
