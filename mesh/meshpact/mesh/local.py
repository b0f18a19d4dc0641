"""What a mesh on one machine gets without an organization behind it: a CA, a token issuer."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec

from meshpact.certs.ca import LocalCA, sync_bundle
from meshpact.certs.issuer import KEYS_FILE, Issuer
from meshpact.certs.keys import KeyType
from meshpact.certs.passphrase import from_environment
from meshpact.certs.rotation import SETTLE, Settling
from meshpact.certs.spiffe import TrustDomain
from meshpact.mesh import model
from meshpact.mesh.config import load
from meshpact.mesh.state import DEFAULT_ROOT, State


def prepare(
    state: State,
    trust_domain: TrustDomain,
    *,
    key_type: KeyType = KeyType.EC_P256,
    passphrase: bytes | None = None,
) -> LocalCA:
    """Makes what is missing of the CA, its trust bundle and the token issuer.

    What is there stays. CertsError when it is broken, or of another trust domain. The passphrase of
    the CA's keys is taken from the file that the environment names, when none is given.
    """
    state.create()
    passphrase = passphrase or from_environment()
    ca = LocalCA.init(state.ca, trust_domain, key_type=key_type, passphrase=passphrase)
    sync_bundle(state.trust, ca)
    Issuer.init(state.issuer)
    return ca


def at_state(config: model.MeshConfig, mesh_file: Path, state: State) -> model.MeshConfig:
    """The mesh with key-set files below `.meshpact/` taken from the state directory in use.

    mesh.yaml names its own issuer's keys as `.meshpact/issuers/local/jwks.json`; a mesh that runs
    on another state directory means the ones there.
    """
    usual = mesh_file.resolve().parent / DEFAULT_ROOT
    issuers = tuple(
        msgspec.structs.replace(
            issuer, file=str(state.root.resolve() / Path(issuer.file).relative_to(usual))
        )
        if issuer.file and Path(issuer.file).is_relative_to(usual)
        else issuer
        for issuer in config.issuers
    )
    return msgspec.structs.replace(config, issuers=issuers)


def settling_of(state: State) -> Settling:
    """How long certificates that were replaced may be in use in the mesh that runs on a state.

    Processes made of a factory, and commands that call as a workload, are Meshpact's own and open a
    new connection for a new certificate. Whoever else holds one may stay on its connection.
    """
    running = state.read_running()
    config = load(running.mesh_file) if running is not None and running.mesh_file else None
    limits = model.Limits() if config is None else config.limits
    services = () if config is None else config.services.values()
    return Settling(
        SETTLE,
        timedelta(seconds=limits.max_connection_age + limits.max_connection_age_grace),
        frozenset(service.id for service in services if not service.command),
    )


def issuer_of(config: model.MeshConfig, state: State) -> model.Issuer | None:
    """The entry of mesh.yaml that trusts the state's own token issuer, None when none does."""
    keys = (state.issuer / KEYS_FILE).resolve()
    entries = (each for each in config.issuers if each.file and Path(each.file).resolve() == keys)
    return next(entries, None)
