"""Identities as cert-manager's csi-driver-spiffe mounts them: tls.crt, tls.key and ca.crt.

https://cert-manager.io/docs/usage/csi-driver-spiffe: one directory, each file a symbolic link into
`..data`, itself a link that Kubernetes swings to a new directory in one step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from meshpact.certs.dialling import DiallingWarning
from meshpact.certs.errors import SourceError
from meshpact.certs.filesource import FollowedFiles, read_bundle, read_svid
from meshpact.certs.identity import Identity
from meshpact.certs.spiffe import SpiffeId

CERTIFICATE_FILE: Final = "tls.crt"
KEY_FILE: Final = "tls.key"
BUNDLE_FILE: Final = "ca.crt"

_SNAPSHOT: Final = "..data"
_REMEDY: Final = "Look at the volume's driver: the pod's events and its log say why"


class MountedSource(FollowedFiles):
    """Follows a directory with `tls.crt`, `tls.key` and `ca.crt`, the roots of the own domain.

    All three are read from one snapshot where there is `..data`. An SVID that clients cannot verify
    as a server is loaded all the same, with a warning in the log. With `workload`, an SVID of any
    other ID is refused (`workload-id`).
    """

    def __init__(
        self,
        directory: Path,
        *,
        workload: SpiffeId | None = None,
        refused: Callable[[SourceError], None] | None = None,
    ) -> None:
        super().__init__(_MountedLayout(directory, workload), refused=refused)


class _MountedLayout:
    def __init__(self, directory: Path, workload: SpiffeId | None) -> None:
        self.directory = directory
        self._workload = workload
        self._warning = DiallingWarning()

    def paths(self) -> Sequence[Path]:
        return [self.directory / name for name in (CERTIFICATE_FILE, KEY_FILE, BUNDLE_FILE)]

    def read(self) -> Identity:
        folder = (self.directory / _SNAPSHOT).resolve()
        if not folder.is_dir():
            folder = self.directory
        svid = read_svid(folder / CERTIFICATE_FILE, folder / KEY_FILE, _REMEDY)
        if self._workload not in (None, svid.id):
            raise SourceError(
                "workload-id",
                f"{self.directory / CERTIFICATE_FILE} is of {svid.id}, and this process is to be "
                f"{self._workload}: mount its own identity, or mend its id in mesh.yaml",
            )
        domain = svid.id.trust_domain
        bundle = read_bundle(folder / BUNDLE_FILE, domain, _REMEDY)
        self._warning.look(svid)
        return Identity(svid, MappingProxyType({domain.name: bundle}))
