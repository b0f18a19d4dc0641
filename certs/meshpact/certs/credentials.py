"""gRPC's TLS credentials from a source of identities: mutual TLS on both sides.

On servers C-core checks chains against the union of all trust bundles, and the guard checks each
peer again by `meshpact.certs.verify.verify_peer`. Clients know a server by its DNS SAN alone
(`channel_options`; grpcio shows them no certificate), so they trust one domain's bundle only.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final, cast

import grpc

from meshpact.certs.bundle import union_pem
from meshpact.certs.errors import SourceError
from meshpact.certs.source import Identity, IdentitySource
from meshpact.certs.spiffe import SpiffeId, dns_name

_log: Final = logging.getLogger(__name__)


def server_credentials(
    source: IdentitySource, *, require_client: bool = True
) -> grpc.ServerCredentials:
    """Credentials that demand a client certificate and follow the source.

    Before each handshake the source is asked; a new identity serves from that connection on. When
    the source fails, the last identity stays. One server per credentials: C-core tells a change
    only to the first server that asks. `require_client=False` asks clients for no certificate.
    """
    lock = threading.Lock()
    served = source.current()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal served
        try:
            identity = source.current()
        except Exception:
            _log.exception("the source of identities failed, the last identity stays")
            return None
        with lock:
            if identity is served:
                return None
            served = identity
        return _configuration(identity)

    # types-grpcio leaves out None, which grpcio documents as "no change".
    fetcher = cast("Callable[[], grpc.ServerCertificateConfiguration]", changed)
    return grpc.dynamic_ssl_server_credentials(
        _configuration(served), fetcher, require_client_authentication=require_client
    )


def channel_credentials(
    source: IdentitySource, callee: SpiffeId | None = None
) -> grpc.ChannelCredentials:
    """Credentials with the source's identity as it is now; grpcio offers no reload for clients.

    Only the CA of the callee's trust domain (default: the identity's own) can vouch for the server.
    SourceError `trust-domain` when that domain is not trusted. After a change of identity, open a
    new channel with new credentials and drain the old one.
    """
    identity = source.current()
    domain = (callee or identity.svid.id).trust_domain.name
    bundle = identity.bundles.get(domain)
    if bundle is None:
        raise SourceError(
            "trust-domain",
            f"the trust domain {domain} is not trusted here: trusted are "
            f"{', '.join(sorted(identity.bundles)) or 'none'}",
        )
    return grpc.ssl_channel_credentials(
        root_certificates=bundle.pem,
        private_key=identity.svid.key_pem,
        certificate_chain=identity.svid.chain_pem,
    )


def channel_options(service_id: SpiffeId) -> list[tuple[str, object]]:
    """Channel options with which only a server that holds `service_id` is accepted.

    SpiffeError `dns-name` when the ID has no DNS name.
    """
    return [("grpc.default_authority", dns_name(service_id))]


def _configuration(identity: Identity) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(identity.svid.key_pem, identity.svid.chain_pem)],
        root_certificates=union_pem(identity.bundles.values()),
    )
