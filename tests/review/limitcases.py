"""Issuers, limits and audit trails in mesh.yaml, changed each way: the golden findings."""

from __future__ import annotations

from typing import Final

from review.cases import BREAKS, NOTE, WIDENS
from review.meshcases import ISSUER, PUT, TAKE, MeshCase, mesh_case

_AUDIENCES: Final = "audiences: [shop, till]"


def _limit(name: str, before: str, after: str, impact: str, rule: str) -> MeshCase:
    return mesh_case(
        f"Limits.{name}", f"{name} {rule}", before, after, (f"limits.{name}", rule, impact)
    )


_LOW: Final = "limit-lowered"
_HIGH: Final = "limit-raised"
_LIMITS: Final = "limits: {"

LIMIT_CASES: Final = (
    # Whose tokens
    mesh_case(
        "MeshConfig.issuers",
        "a further issuer",
        "limits:",
        "  - {issuer: https://more.example, file: jwks.json, audiences: [shop]}\nlimits:",
        ("https://more.example", "issuer-added", WIDENS),
        issuer_added={PUT, TAKE},
    ),
    mesh_case(
        "Issuer.issuer",
        "an issuer with another name",
        "https://issuer.example",
        "https://other.example",
        (ISSUER, "issuer-removed", BREAKS),
        ("https://other.example", "issuer-added", WIDENS),
        (PUT, "binding-removed", BREAKS),
        (PUT, "binding-added", WIDENS),
    ),
    mesh_case(
        "Issuer.audiences",
        "an audience less",
        _AUDIENCES,
        "audiences: [shop]",
        (ISSUER, "issuer-audience-removed", BREAKS),
        issuer_audience_removed={PUT},
    ),
    mesh_case(
        "Issuer.audiences",
        "an audience more",
        _AUDIENCES,
        "audiences: [till, shop, more]",
        (ISSUER, "issuer-audience-added", WIDENS),
        issuer_audience_added={PUT},
    ),
    mesh_case("Issuer.audiences", "the same audiences", _AUDIENCES, "audiences: [till, shop]"),
    mesh_case(
        "Issuer.algorithms",
        "an algorithm more, one less",
        "[ES256, RS256]",
        "[ES256, ES384]",
        (ISSUER, "issuer-algorithm-removed", BREAKS),
        (ISSUER, "issuer-algorithm-added", WIDENS),
    ),
    mesh_case(
        "Issuer.token_type",
        "another kind of token",
        "algorithms: [ES256",
        "token_type: JWT\n    algorithms: [ES256",
        (ISSUER, "issuer-token-type-refused", BREAKS),
        (ISSUER, "issuer-token-type-taken", WIDENS),
    ),
    mesh_case(
        "Issuer.groups_claim",
        "groups from another claim",
        "algorithms: [ES256",
        "groups_claim: teams\n    algorithms: [ES256",
        (ISSUER, "issuer-groups-refused", BREAKS),
        (ISSUER, "issuer-groups-taken", WIDENS),
    ),
    mesh_case(
        "Issuer.file",
        "keys from another file",
        "jwks.json",
        "other.json",
        (ISSUER, "issuer-keys", WIDENS),
    ),
    mesh_case(
        "Issuer.jwks",
        "keys from an address",
        "file: jwks.json",
        "jwks: https://issuer.example/jwks",
        (ISSUER, "issuer-keys", WIDENS),
    ),
    mesh_case(
        "Issuer.discovery",
        "keys by discovery",
        "file: jwks.json",
        "discovery: https://issuer.example/.well-known/openid-configuration",
        (ISSUER, "issuer-keys", WIDENS),
    ),
    mesh_case(
        "Issuer.introspection",
        "opaque tokens",
        "algorithms: [ES256",
        "introspection: https://issuer.example/ask\n    client_id: mesh\n"
        "    client_secret_file: secret\n    algorithms: [ES256",
        (ISSUER, "issuer-opaque-taken", WIDENS),
        (ISSUER, "issuer-client", NOTE),
    ),
    mesh_case(
        "Issuer.client_id",
        "another client",
        "algorithms: [ES256",
        "client_id: mesh\n    algorithms: [ES256",
        (ISSUER, "issuer-client", NOTE),
    ),
    mesh_case(
        "Issuer.client_secret_file",
        "another secret",
        "algorithms: [ES256",
        "client_secret_file: secret\n    algorithms: [ES256",
        (ISSUER, "issuer-client", NOTE),
    ),
    mesh_case(
        "Issuer.token_endpoint",
        "exchange of tokens",
        "algorithms: [ES256",
        "token_endpoint: https://issuer.example/token\n    client_id: mesh\n"
        "    client_secret_file: secret\n    algorithms: [ES256",
        (ISSUER, "issuer-client", NOTE),
    ),
    # How much
    _limit("max_metadata_bytes", _LIMITS, "limits: {max_metadata_bytes: 16000, ", BREAKS, _LOW),
    _limit("max_metadata_bytes", _LIMITS, "limits: {max_metadata_bytes: 17000, ", WIDENS, _HIGH),
    _limit("max_concurrent_streams", _LIMITS, "limits: {max_concurrent_streams: 9, ", BREAKS, _LOW),
    _limit("max_connections", "max_connections: 100", "max_connections: 99", BREAKS, _LOW),
    _limit("max_connections", ", max_connections: 100", "", WIDENS, _HIGH),
    _limit("max_connection_age", _LIMITS, "limits: {max_connection_age: 60, ", NOTE, _LOW),
    _limit("max_connection_age_grace", "grace: 5s", "grace: 3s", NOTE, _LOW),
    _limit("max_connection_age_grace", "grace: 5s", "grace: 1s", BREAKS, _LOW),
    _limit("max_connection_idle", _LIMITS, "limits: {max_connection_idle: 60, ", NOTE, _LOW),
    _limit("handshake_timeout", _LIMITS, "limits: {handshake_timeout: 1s, ", BREAKS, _LOW),
    _limit("drain", "drain: 5s", "drain: 1s", BREAKS, _LOW),
    _limit("drain", "drain: 5s", "drain: 9s", NOTE, _HIGH),
    mesh_case(
        "AuditSettings.keep",
        "fewer audit files",
        "keep: 4",
        "keep: 3",
        ("audit", "audit-kept-less", WIDENS),
    ),
    mesh_case(
        "AuditSettings.max_bytes",
        "longer audit files",
        "max_bytes: 1000",
        "max_bytes: 2000",
        ("audit", "audit-kept-longer", NOTE),
    ),
)
