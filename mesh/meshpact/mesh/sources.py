"""Where the processes of a mesh get their identities, as mesh.yaml says; for all tools."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshpact.certs import mountedsource
from meshpact.certs.federatedsource import FederatedSource
from meshpact.certs.federation import FederatedDomain, Federation
from meshpact.certs.source import (
    CERTIFICATE_FILE,
    KEY_FILE,
    FileSource,
    IdentitySource,
    MountedSource,
)
from meshpact.certs.spiffe import TrustDomain
from meshpact.mesh.config import MeshConfig
from meshpact.mesh.state import State

FEDERATION: Final = "federation"
"""The directory of a state where bundle documents from the web are kept."""


class Sources:
    """The sources of one process, each opened when it is first asked for. `close` them.

    `identity.workload_api`: a stream from that socket; `identity.files`: the mounted directory, or
    the directory of the workload's name in it; neither: the state directory. With `federation` each
    has the federated bundles too, unless `federated` is False: nothing is fetched then.
    """

    def __init__(self, config: MeshConfig, state: State, *, federated: bool = True) -> None:
        self._config = config
        self._state = state
        self._with_federation = federated and bool(config.federation)
        self._federation: Federation | None = None
        self._opened: dict[str, IdentitySource] = {}
        self._closing = contextlib.ExitStack()

    def of(self, service: str) -> IdentitySource:
        """The source of a workload by its name in mesh.yaml; the same one each time.

        SourceError when its identity cannot be had, or is another workload's.
        """
        if service not in self._opened:
            source = self._open(service)
            if self._with_federation:
                source = FederatedSource(source, self._federated())
            self._opened[service] = source
        return self._opened[service]

    def close(self) -> None:
        """Ends all streams and looking; identities that were given out stay as they are."""
        self._closing.close()

    def __enter__(self) -> Sources:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, service: str) -> IdentitySource:
        settings = self._config.identity
        if settings.workload_api:
            # The client of the Workload API is an extra, and takes long to import.
            from meshpact.certs.workloadapi import WorkloadApiSource

            workload = self._config.service_id(service)
            return self._closing.enter_context(
                WorkloadApiSource(settings.workload_api, workload=workload)
            )
        if settings.files:
            directory = _mounted(settings.files, service)
            return MountedSource(directory, workload=self._config.service_id(service))
        return FileSource(self._state.identity(service), self._state.trust)

    def _federated(self) -> Federation:
        if self._federation is None:
            domains = [
                FederatedDomain(TrustDomain(name), each.bundle, each.refresh)
                for name, each in self._config.federation.items()
            ]
            keep = self._state.root / FEDERATION
            self._federation = Federation(self._config.domain, domains, keep=keep)
            self._closing.callback(self._federation.close)
        return self._federation


@dataclass(frozen=True)
class IdentityFiles:
    """The files of one workload, all in PEM: for programs that read them themselves."""

    certificate: Path
    key: Path
    bundle: Path


def identity_files(config: MeshConfig, state: State, service: str) -> IdentityFiles | None:
    """Where a workload's files are, there or not; None when its identity comes from no files."""
    settings = config.identity
    if settings.workload_api:
        return None
    if settings.files:
        folder = _mounted(settings.files, service)
        return IdentityFiles(
            folder / mountedsource.CERTIFICATE_FILE,
            folder / mountedsource.KEY_FILE,
            folder / mountedsource.BUNDLE_FILE,
        )
    folder = state.identity(service)
    bundle = state.trust / f"{config.trust_domain}.pem"
    return IdentityFiles(folder / CERTIFICATE_FILE, folder / KEY_FILE, bundle)


def _mounted(files: str, service: str) -> Path:
    """The directory with a workload's tls.crt: its own one in `identity.files`, or that itself."""
    own = Path(files) / service
    return own if own.is_dir() else Path(files)
