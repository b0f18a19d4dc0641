"""Certificates out of PEM, whose bytes may come from anyone."""

from __future__ import annotations

import re
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

_BEGIN: Final = re.compile(rb"-----BEGIN (?:X509 )?CERTIFICATE-----")


def read_certificates(pem: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM text in its order, one at least; ValueError when it has none, or
    when it breaks off within one.

    What a certificate says is read later, each part when it is asked for.
    """
    try:
        found = x509.load_pem_x509_certificates(pem)
    except (x509.InvalidVersion, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from None
    if len(found) != len(_BEGIN.findall(pem)):  # the library passes over one that has no end
        raise ValueError("the text breaks off within a certificate")
    return found
