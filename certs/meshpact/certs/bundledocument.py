"""Trust bundles as SPIFFE bundle documents: what trust domains publish for each other.

https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Trust_Domain_and_Bundle.md, section 4,
and X509-SVID, section 6. A JWK set; only its X.509 part is read here.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from meshpact.certs.bundle import TrustBundle, trust_domain_of
from meshpact.certs.errors import BundleError
from meshpact.certs.spiffe import TrustDomain

MAX_BYTES: Final = 1024 * 1024
MAX_KEYS: Final = 256
MAX_SEQUENCE: Final = 2**63 - 1
MAX_REFRESH_HINT: Final = 31 * 86_400
REFRESH_HINT: Final = 300
"""Seconds, in documents of ours."""

_USE: Final = "x509-svid"
_CURVES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


@dataclass(frozen=True, slots=True)
class BundleDocument:
    """A bundle and what its document says of itself."""

    bundle: TrustBundle
    sequence: int | None = None
    """Rises with each change (`spiffe_sequence`); None: not said."""
    refresh_hint: int | None = None
    """Seconds after which to look again (`spiffe_refresh_hint`); None: not said."""


def parse_document(data: bytes, trust_domain: TrustDomain) -> BundleDocument:
    """The document of a trust domain.

    Keys for other uses, and of unknown kinds, are passed over, as the standard asks; anything else
    that is amiss refuses the whole. BundleError names the rule: `size`, `json`, `keys`, `sequence`,
    `refresh-hint`, `x5c`, `jwk`, `not-a-ca`, `trust-domain`, `empty`.
    """
    if len(data) > MAX_BYTES:
        raise _fault("size", trust_domain, f"has {len(data)} bytes: {MAX_BYTES} are allowed")
    document = _json(data, trust_domain)
    keys = document.get("keys")
    if not isinstance(keys, list):
        raise _fault("keys", trust_domain, "has no list 'keys': a JWK set has one (RFC 7517)")
    entries = cast("list[object]", keys)
    if len(entries) > MAX_KEYS:
        raise _fault("keys", trust_domain, f"has {len(entries)} keys: {MAX_KEYS} are allowed")
    roots: list[x509.Certificate] = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise _fault("keys", trust_domain, f"has a key {index} that is no object")
        root = _root(cast("dict[str, object]", entry), f"key {index}", trust_domain)
        if root is not None and root not in roots:
            roots.append(root)
    return BundleDocument(
        TrustBundle(trust_domain, tuple(roots)),
        _number(document, "spiffe_sequence", "sequence", MAX_SEQUENCE, trust_domain),
        _number(document, "spiffe_refresh_hint", "refresh-hint", MAX_REFRESH_HINT, trust_domain),
    )


def format_document(
    bundle: TrustBundle, *, sequence: int, refresh_hint: int = REFRESH_HINT
) -> bytes:
    """The document of a bundle, for others to read. ValueError for keys that JWK cannot spell."""
    document = {
        "spiffe_sequence": sequence,
        "spiffe_refresh_hint": refresh_hint,
        "keys": [
            {
                "use": _USE,
                **_jwk(root),
                "x5c": [base64.b64encode(root.public_bytes(Encoding.DER)).decode()],
            }
            for root in bundle.roots
        ],
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def _json(data: bytes, trust_domain: TrustDomain) -> dict[str, object]:
    try:
        found: object = json.loads(
            data.decode(), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        why = "too deep" if isinstance(error, RecursionError) else str(error)
        raise _fault("json", trust_domain, f"is not JSON: {why[:200]}") from None
    if not isinstance(found, dict):
        raise _fault("json", trust_domain, "is not a JSON object")
    return cast("dict[str, object]", found)


def _unique(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not allowed")


def _number(
    document: Mapping[str, object], name: str, rule: str, most: int, trust_domain: TrustDomain
) -> int | None:
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise _fault(rule, trust_domain, f"has a {name} that is no number from 0 to {most}")
    return value


def _root(
    entry: Mapping[str, object], place: str, trust_domain: TrustDomain
) -> x509.Certificate | None:
    if entry.get("use") != _USE or entry.get("kty") not in ("EC", "RSA"):
        return None
    chain = entry.get("x5c")
    if not isinstance(chain, list) or len(cast("list[object]", chain)) != 1:
        raise _fault("x5c", trust_domain, f"has a {place} without exactly one certificate in x5c")
    (text,) = cast("list[object]", chain)
    try:
        if not isinstance(text, str):
            raise ValueError("not a text")
        certificate = x509.load_der_x509_certificate(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error, x509.InvalidVersion, UnsupportedAlgorithm):
        raise _fault(
            "x5c", trust_domain, f"has a {place} whose x5c is no certificate (DER in base64)"
        ) from None
    try:
        stated = _jwk(certificate)
    except ValueError as error:
        raise _fault("jwk", trust_domain, f"has a {place} whose {error}") from None
    if any(entry.get(name) != value for name, value in stated.items()):
        raise _fault(
            "jwk",
            trust_domain,
            f"has a {place} that is not the key of the certificate in its x5c (RFC 7517, 4.7)",
        )
    named = trust_domain_of(certificate.public_bytes(Encoding.PEM))
    if named is not None and named != trust_domain:
        raise _fault("trust-domain", trust_domain, f"has a {place} that is a CA of {named}")
    return certificate


def _jwk(certificate: x509.Certificate) -> dict[str, str]:
    """The members of a JWK that spell a certificate's public key (RFC 7518, section 6)."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("public key cannot be read") from None
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        point = key.public_numbers()
        size = (key.curve.key_size + 7) // 8
        return {
            "kty": "EC",
            "crv": _CURVES[key.curve.name],
            "x": _base64url(point.x, size),
            "y": _base64url(point.y, size),
        }
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"kty": "RSA", "n": _base64url(numbers.n), "e": _base64url(numbers.e)}
    raise ValueError("public key is neither EC (P-256, P-384, P-521) nor RSA")


def _base64url(number: int, size: int = 0) -> str:
    data = number.to_bytes(size or (number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _fault(rule: str, trust_domain: TrustDomain, what: str) -> BundleError:
    return BundleError(rule, f"the bundle document of {trust_domain} {what}")
