"""Certificates out of PEM, whose bytes may come from anyone."""

from __future__ import annotations

import re
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

_BEGIN: Final = re.compile(rb"-----BEGIN (?:X509 )?CERTIFICATE-----")


def read_certificates(pem: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM text in its order, one at least; ValueError when it has none, or
    when it breaks off within one, or spells a signature in another way than DER does.

    What a certificate says is read later, each part when it is asked for.
    """
    try:
        found = x509.load_pem_x509_certificates(pem)
    except (x509.InvalidVersion, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from None
    if len(found) != len(_BEGIN.findall(pem)):  # the library passes over one that has no end
        raise ValueError("the text breaks off within a certificate")
    if not all(map(_has_whole_signature, found)):
        raise ValueError("a signature is not a whole number of bytes")
    return found


def _has_whole_signature(certificate: x509.Certificate) -> bool:
    """Whether no bits of the signature are called unused: else one certificate has two spellings,
    both of which the library takes (X.690, 11.2.2)."""
    unused = -len(certificate.signature) - 1
    return certificate.public_bytes(Encoding.DER)[unused] == 0
