"""The guard decides as the reference does, for generated policies, callers and requests."""

from __future__ import annotations

import pytest

from oracle.comparison import compare

TRIPLES = 1000
REASONS = {
    "OK",
    "METHOD_UNKNOWN",
    "IDENTITY_MISSING",
    "IDENTITY_INVALID",
    "SVID_EXPIRED",
    "NETWORK_DENIED",
    "TOKEN_MISSING",
    "TOKEN_INVALID",
    "TOKEN_EXPIRED",
    "ROLE_MISSING",
    "SCOPE_MISSING",
    "METADATA_INVALID",
    "METADATA_TOO_LARGE",
    "RATE_LIMITED",
    "OVERLOADED",
    "MESSAGE_TOO_LARGE",
    "MALFORMED_REQUEST",
    "INVALID_REQUEST",
}


@pytest.mark.parametrize("seed", [20111101])
def test_a_thousand_triples_are_decided_as_the_reference_decides_them(seed: int) -> None:
    report = compare(TRIPLES, seed)
    assert report.triples >= TRIPLES
    assert not report.disagreements, "\n".join(str(d) for d in report.disagreements[:10])
    assert set(report.expected) == REASONS, report.expected
