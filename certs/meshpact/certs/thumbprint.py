"""The thumbprint by which an access token is bound to a client certificate (RFC 8705)."""

from __future__ import annotations

import base64
import binascii
import hashlib

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_END = b"-----END CERTIFICATE-----"


def certificate_thumbprint(pem: bytes) -> str:
    """The `x5t#S256` (RFC 8705 section 3.1) of the first certificate in PEM, "" for none."""
    _, begin, rest = pem.partition(_BEGIN)
    body, end, _ = rest.partition(_END)
    if not begin or not end:
        return ""
    try:
        der = base64.b64decode(body)
    except binascii.Error:
        return ""
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
