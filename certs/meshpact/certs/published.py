"""What a local CA publishes to other trust domains: read without any of its keys."""

from __future__ import annotations

from pathlib import Path

from meshpact.certs import authority
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.bundledocument import REFRESH_HINT, BundleDocument
from meshpact.certs.castate import Store
from meshpact.certs.errors import CaError
from meshpact.certs.wholedir import BrokenDirectory, exists


def published(directory: Path) -> BundleDocument:
    """The roots of the CA in a directory, with a sequence that rises by each step of a rotation.

    CaError `state` when there is no CA, or its files are amiss.
    """
    if not exists(directory):
        raise CaError(
            "state",
            f"there is no CA in {directory}: make one by meshpact certs init --trust-domain "
            "DOMAIN, the trust_domain of mesh.yaml",
        )
    store = Store(directory)
    try:
        _, state = store.read()
        roots = tuple(store.root(each) for each in state.authorities)
    except BrokenDirectory as broken:
        raise CaError("state", f"{broken}: put the right file back") from None
    bundle = TrustBundle(authority.trust_domain(roots[0]), roots)
    return BundleDocument(bundle, state.generation, REFRESH_HINT)
