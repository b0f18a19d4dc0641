"""Whether clients can verify a workload as a server: by the DNS name in its certificate alone.

gRPC's clients in Python verify no URI SAN, so an SVID without the DNS name of its ID serves nobody,
though its holder can call others with it.
"""

from __future__ import annotations

import logging
from typing import Final

from cryptography import x509

from meshpact.certs.errors import SpiffeError
from meshpact.certs.spiffe import SpiffeId, dns_name
from meshpact.certs.svid import X509Svid, find_extension, read_extensions

_log: Final = logging.getLogger(__name__)


def why_not_dialled(svid: X509Svid) -> str:
    """Why no client can call the holder of an SVID, and the remedy; empty when clients can."""
    return why_not_named(svid.leaf, svid.id)


def why_not_named(leaf: x509.Certificate, spiffe_id: SpiffeId) -> str:
    """The same for a certificate that holds an ID, as a peer shows it."""
    names = find_extension(read_extensions(leaf), x509.SubjectAlternativeName)
    found = names.value.get_values_for_type(x509.DNSName) if names else []
    try:
        expected = dns_name(spiffe_id)
    except SpiffeError as error:
        return (
            f"{spiffe_id} cannot be called, it can only call others: {error}. Register the "
            "workload under an ID of one segment, and with the DNS name of that ID"
        )
    if expected in found:
        return ""
    has = f"the DNS names {', '.join(found[:5])}" if found else "no DNS name"
    return (
        f"{spiffe_id} cannot be called, it can only call others: its certificate has {has}, and "
        f"clients look for {expected}. Have it issued with that name (SPIRE: -dns {expected} of "
        "the registration entry, dnsNameTemplates of a ClusterSPIFFEID)"
    )


class DiallingWarning:
    """Logs that the holder of an SVID cannot be called, once for each reason."""

    def __init__(self) -> None:
        self._said = ""

    def look(self, svid: X509Svid) -> None:
        """Looks at a new SVID."""
        fault = why_not_dialled(svid)
        if fault and fault != self._said:
            _log.warning("%s", fault)
        self._said = fault
