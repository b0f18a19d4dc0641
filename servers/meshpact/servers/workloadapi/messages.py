"""What the Workload API answers, made from an identity (SPIFFE Workload API, sections 5 and 6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from google.protobuf.json_format import ParseDict

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.identity import Identity
from meshpact.certs.jwtsvid import JwtBundle, JwtSvid
from meshpact.certs.svid import X509Svid
from meshpact.servers.workloadapi import proto


def x509_svid(identity: Identity) -> proto.X509SVIDResponse:
    """One SVID with its key (PKCS#8), its own domain's bundle, and those of other domains."""
    svid, own = identity.svid, identity.svid.id.trust_domain.name
    return proto.X509SVIDResponse(
        svids=[
            proto.X509SVID(
                spiffe_id=str(svid.id),
                x509_svid=_der(svid.chain),
                x509_svid_key=_key(svid),
                bundle=_der(identity.bundles[own].roots),
            )
        ],
        federated_bundles=_bundles(
            bundle for name, bundle in identity.bundles.items() if name != own
        ),
    )


def x509_bundles(identity: Identity) -> proto.X509BundlesResponse:
    """The bundles of all trust domains that the workload trusts."""
    return proto.X509BundlesResponse(bundles=_bundles(identity.bundles.values()))


def jwt_svid(svid: JwtSvid) -> proto.JWTSVIDResponse:
    """One JWT-SVID."""
    return proto.JWTSVIDResponse(svids=[proto.JWTSVID(spiffe_id=str(svid.id), svid=svid.token)])


def jwt_bundles(bundles: Iterable[JwtBundle]) -> proto.JWTBundlesResponse:
    """JWK sets by the ID of the trust domain."""
    return proto.JWTBundlesResponse(
        bundles={str(bundle.trust_domain.id): bundle.json for bundle in bundles}
    )


def validated(svid: JwtSvid) -> proto.ValidateJWTSVIDResponse:
    """Who a JWT-SVID is, and all its claims."""
    response = proto.ValidateJWTSVIDResponse(spiffe_id=str(svid.id))
    ParseDict(dict(svid.claims), response.claims)
    return response


def _bundles(bundles: Iterable[TrustBundle]) -> dict[str, bytes]:
    return {str(bundle.trust_domain.id): _der(bundle.roots) for bundle in bundles}


def _der(certificates: Sequence[x509.Certificate]) -> bytes:
    """The certificates in DER, one after the other without anything between them."""
    return b"".join(certificate.public_bytes(Encoding.DER) for certificate in certificates)


def _key(svid: X509Svid) -> bytes:
    key = load_pem_private_key(svid.key_pem, password=None)
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
