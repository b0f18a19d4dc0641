"""Certificates out of PEM, whose bytes may come from anyone."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm


def read_certificates(pem: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM text in its order, one at least; ValueError when it has none.

    What a certificate says is read later, each part when it is asked for.
    """
    try:
        return x509.load_pem_x509_certificates(pem)
    except (x509.InvalidVersion, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from None
