"""A volume as Kubernetes writes it: links into `..data`, which is swung in one step."""

from __future__ import annotations

import shutil
from pathlib import Path

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.svid import X509Svid

FILES = ("tls.crt", "tls.key", "ca.crt")


class CsiMount:
    """A mounted directory; each `write` makes a new snapshot and removes the last one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._count = 0
        directory.mkdir(parents=True)

    def write(self, svid: X509Svid, bundle: TrustBundle) -> None:
        """Puts an identity in place at once."""
        self.write_raw(svid.chain_pem, svid.key_pem, bundle.pem)

    def write_raw(self, *contents: bytes) -> None:
        """The same with any bytes for tls.crt, tls.key and ca.crt."""
        self._count += 1
        data = self.directory / "..data"
        old = data.resolve() if data.is_symlink() else None
        snapshot = self.directory / f"..2026_11_23_{self._count:06}"
        snapshot.mkdir()
        for name, content in zip(FILES, contents, strict=True):
            (snapshot / name).write_bytes(content)
        aside = self.directory / "..data_tmp"
        aside.symlink_to(snapshot.name)
        aside.replace(data)
        for name in FILES:
            link = self.directory / name
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}")
        if old is not None:
            shutil.rmtree(old)
