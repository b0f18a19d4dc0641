"""The guard decides as the reference does, for generated policies, callers and requests."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from google.protobuf.message import Message

from meshpact.interceptors import admission, guard
from meshpact.interceptors.spec import MethodSpec
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


def allow_all(_access: object, _source: object, _method: str) -> None:
    """In place of compile_access: nobody is asked for a role."""


def accept_all(spec: MethodSpec[Any, Any], _policy: object) -> Callable[[bytes], Message]:
    """In place of compile_accept: no size, no rules."""

    def accept(body: bytes) -> Message:
        request: Message = spec.request.FromString(body)
        return request

    return accept


@pytest.mark.parametrize(
    ("module", "name", "blind"),
    [(admission, "compile_access", allow_all), (guard, "compile_accept", accept_all)],
    ids=["access", "messages"],
)
def test_a_guard_that_leaves_out_a_check_is_found_out(
    module: ModuleType, name: str, blind: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, blind)
    assert compare(100, 7).disagreements
