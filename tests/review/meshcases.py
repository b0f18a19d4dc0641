"""Everything in mesh.yaml that decides about calls, changed each way: the golden findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from review.cases import BREAKS, NOTE, WIDENS

_ANNA: Final = "{issuer: https://issuer.example, name: anna}"
_STAFF: Final = "{issuer: https://issuer.example, name: staff}"
MESH: Final = """\
trust_domain: shop.example
services:
  desk: {factory: "desk.app:create", serves: [shop.v1.Stock]}
  web: {calls: [shop.v1.Stock/*]}
  night: {calls: [shop.v1.Stock/Get]}
roles:
  shop.reader: {workloads: [web, "spiffe://partner.example/*"]}
  shop.writer: {workloads: [night], users: [ANNA], groups: [STAFF]}
  shop.unused: {workloads: [web]}
federation:
  partner.example: {bundle: partner.json}
denied: {workloads: ["spiffe://shop.example/old/*"], serials: ["0a0b"]}
networks:
  mesh: [10.0.0.0/8, unix]
  services: {desk: [10.0.0.0/16, unix]}
  methods: {shop.v1.Stock/Put: [10.0.1.0/24]}
  trusted_proxies: [10.0.1.9]
issuers:
  - issuer: https://issuer.example
    file: jwks.json
    audiences: [shop, till]
    algorithms: [ES256, RS256]
limits: {drain: 5s, max_connection_age_grace: 5s, max_connections: 100}
audit: {max_bytes: 1000, keep: 4}
""".replace("ANNA", _ANNA).replace("STAFF", _STAFF)

PROTOS: Final = """
service Stock {
  option (meshpact.policy.v1.service) = {
    access: {roles: "shop.reader"}
    deadline: {default: {seconds: 2} max: {seconds: 10}}
    audit: {level: AUDIT_LEVEL_DENIALS}
  };
  rpc Get(GetRequest) returns (GetResponse);
  rpc Put(PutRequest) returns (PutResponse) {
    option (meshpact.policy.v1.method) = {
      access: {roles: "shop.writer" end_user: END_USER_REQUIRED}
    };
  }
  rpc Take(TakeRequest) returns (TakeResponse) {
    option (meshpact.policy.v1.method) = {
      access: {workload_roles: "shop.reader" end_user: END_USER_REQUIRED audience: "taking"}
    };
  }
}
message GetRequest {}
message GetResponse {}
message PutRequest {}
message PutResponse {}
message TakeRequest {}
message TakeResponse {}
"""

GET: Final = "shop.v1.Stock/Get"
PUT: Final = "shop.v1.Stock/Put"
TAKE: Final = "shop.v1.Stock/Take"
ISSUER: Final = "https://issuer.example"
_AUDIENCES: Final = "audiences: [shop, till]"
_METHODS: Final = "methods: {shop.v1.Stock/Put: [10.0.1.0/24]}"


@dataclass(frozen=True)
class MeshCase:
    """An edit of MESH: a text, what takes its place, and what is found: (subject, rule) -> class.
    `touched` are the methods that a finding names, by its rule; `decides` the key it is about."""

    decides: str
    name: str
    before: str
    after: str
    found: Mapping[tuple[str, str], str]
    touched: Mapping[str, set[str]] = field(default_factory=dict[str, set[str]])


def _case(
    decides: str,
    name: str,
    before: str,
    after: str,
    *found: tuple[str, str, str],
    **touched: set[str],
) -> MeshCase:
    named = {rule.replace("_", "-"): methods for rule, methods in touched.items()}
    told = {(subject, rule): impact for subject, rule, impact in found}
    return MeshCase(decides, name, before, after, told, named)


def _limit(name: str, before: str, after: str, impact: str, rule: str) -> MeshCase:
    return _case(
        f"Limits.{name}", f"{name} {rule}", before, after, (f"limits.{name}", rule, impact)
    )


_LOW: Final = "limit-lowered"
_HIGH: Final = "limit-raised"
_LIMITS: Final = "limits: {"

CASES: Final = (
    # Who is who
    _case(
        "MeshConfig.services",
        "a service without effect on access",
        "  night: {",
        "  day: {}\n  night: {",
    ),
    _case(
        "Service.id",
        "another identity",
        "night: {",
        "night: {id: spiffe://shop.example/nights, ",
        ("services.night", "identity-changed", NOTE),
        (PUT, "binding-removed", BREAKS),
        (PUT, "binding-added", WIDENS),
    ),
    _case(
        "Service.audience",
        "a service's own audience",
        "desk: {factory",
        "desk: {audience: counter, factory",
        ("services.desk", "audience-refused", BREAKS),
        ("services.desk", "audience-accepted", WIDENS),
        audience_refused={PUT},
    ),
    _case(
        "Service.audience",
        "the audience of a service that serves nothing",
        "night: {",
        "night: {audience: moon, ",
    ),
    _case("Service.calls", "declared calls", "calls: [shop.v1.Stock/Get]", "calls: []"),
    _case("Service.serves", "who serves", ", serves: [shop.v1.Stock]", ""),
    _case(
        "MeshConfig.federation",
        "another domain",
        "federation:\n",
        "federation:\n  other.example: {bundle: other.json}\n",
        ("federation.other.example", "federation-added", WIDENS),
        federation_added=set(),
    ),
    _case(
        "MeshConfig.federation",
        "a domain that is gone",
        "  partner.example: {bundle: partner.json}\n",
        "  {}\n",
        ("federation.partner.example", "federation-removed", BREAKS),
        federation_removed={GET, PUT, TAKE},
    ),
    _case(
        "Federated.bundle",
        "another bundle",
        "partner.json",
        "https://partner.example/bundle.json",
        ("federation.partner.example", "federation-bundle", WIDENS),
    ),
    _case(
        "Federated.refresh",
        "how often it is looked at",
        "partner.json}",
        "partner.json, refresh: 60}",
    ),
    _case(
        "Denied.workloads",
        "a workload denied",
        "denied: {workloads: [",
        "denied: {workloads: [web, ",
        ("denied.web", "identity-denied", BREAKS),
        identity_denied={GET, PUT, TAKE},
    ),
    _case(
        "Denied.workloads",
        "a workload denied that another entry denies",
        "denied: {workloads: [",
        'denied: {workloads: ["spiffe://shop.example/old/till", ',
    ),
    _case(
        "Denied.workloads",
        "a workload not denied any more",
        '["spiffe://shop.example/old/*"]',
        "[]",
        ("denied.spiffe://shop.example/old/*", "identity-not-denied", WIDENS),
        identity_not_denied={PUT},
    ),
    _case(
        "Denied.serials",
        "a certificate denied",
        '["0a0b"]',
        '["0A:0B", "ff"]',
        ("denied.ff", "identity-denied", BREAKS),
    ),
    _case(
        "Denied.serials",
        "a certificate not denied any more",
        '["0a0b"]',
        "[]",
        ("denied.0a0b", "identity-not-denied", WIDENS),
    ),
    # Who may what
    _case(
        "Role.workloads",
        "a workload bound",
        "{workloads: [night]",
        "{workloads: [night, web]",
        (PUT, "binding-added", WIDENS),
    ),
    _case(
        "Role.workloads",
        "a workload unbound",
        "{workloads: [night]",
        "{workloads: []",
        (PUT, "binding-removed", BREAKS),
    ),
    _case(
        "Role.users",
        "a user unbound",
        f"users: [{_ANNA}]",
        "users: []",
        (PUT, "binding-removed", BREAKS),
    ),
    _case(
        "Role.groups",
        "a group bound",
        f"groups: [{_STAFF}]",
        f"groups: [{_STAFF}, {_ANNA}]",
        (PUT, "binding-added", WIDENS),
    ),
    _case(
        "Role.includes",
        "a role included",
        "shop.writer: {",
        "shop.writer: {includes: [shop.reader], ",
        (GET, "binding-added", WIDENS),
        (TAKE, "binding-added", WIDENS),
    ),
    _case(
        "MeshConfig.roles", "a role that no method asks for", "shop.unused: {workloads: [web]}", ""
    ),
    _case(
        "Role.mode",
        "a role observed",
        "shop.reader: {",
        "shop.reader: {mode: observe, ",
        ("roles.shop.reader", "observed", WIDENS),
        observed={GET, TAKE},
    ),
    _case(
        "Role.mode",
        "a role observed that no method asks for",
        "shop.unused: {",
        "shop.unused: {mode: observe, ",
        ("roles.shop.unused", "observed", NOTE),
    ),
    _case(
        "Method.mode",
        "a method observed",
        "federation:\n",
        "methods: {shop.v1.Stock/Get: {mode: observe}}\nfederation:\n",
        (GET, "observed", WIDENS),
        observed={GET},
    ),
    _case(
        "MeshConfig.methods",
        "all methods of a service observed",
        "federation:\n",
        'methods: {"shop.v1.Stock/*": {mode: observe}}\nfederation:\n',
        (GET, "observed", WIDENS),
        (PUT, "observed", WIDENS),
        (TAKE, "observed", WIDENS),
    ),
    # From where
    _case(
        "NetworkLists.mesh",
        "a wider mesh that a service's list holds back",
        "mesh: [10.0.0.0/8, unix]",
        "mesh: [10.0.0.0/8, 11.0.0.0/8, unix]",
        ("networks.mesh", "network-widened", NOTE),
    ),
    _case(
        "NetworkLists.mesh",
        "a smaller mesh",
        "mesh: [10.0.0.0/8, unix]",
        "mesh: [10.0.0.0/17, unix]",
        ("networks.mesh", "network-tightened", BREAKS),
        network_tightened={GET, TAKE},
    ),
    _case(
        "NetworkLists.mesh",
        "no sockets",
        "mesh: [10.0.0.0/8, unix]",
        "mesh: [10.0.0.0/8]",
        ("networks.mesh", "network-tightened", BREAKS),
        network_tightened={GET, TAKE},
    ),
    _case(
        "NetworkLists.services",
        "a service from fewer networks",
        "desk: [10.0.0.0/16, unix]",
        "desk: [10.0.1.0/24, unix]",
        ("networks.services.desk", "network-tightened", BREAKS),
        network_tightened={GET, TAKE},
    ),
    _case(
        "NetworkLists.services",
        "a service that serves nothing",
        "desk: [10.0.0.0/16, unix]}",
        "desk: [10.0.0.0/16, unix], web: [10.0.0.1]}",
        ("networks.services.web", "network-tightened", BREAKS),
    ),
    _case(
        "NetworkLists.methods",
        "a method from more networks",
        _METHODS,
        "methods: {shop.v1.Stock/Put: [10.0.0.0/22]}",
        ("networks.methods.shop.v1.Stock/Put", "network-widened", WIDENS),
        network_widened={PUT},
    ),
    _case(
        "NetworkLists.methods",
        "a method whose list is gone",
        _METHODS,
        "methods: {}",
        ("networks.methods.shop.v1.Stock/Put", "network-widened", WIDENS),
        network_widened={PUT},
    ),
    _case(
        "NetworkLists.trusted_proxies",
        "a further proxy in the lists",
        "[10.0.1.9]",
        "[10.0.1.9, 10.0.0.9]",
        ("networks.trusted_proxies", "proxies", WIDENS),
        ("networks.trusted_proxies", "proxies-tightened", BREAKS),
        proxies={PUT},
        proxies_tightened={GET, TAKE},
    ),
    _case(
        "NetworkLists.trusted_proxies",
        "a proxy no more",
        "[10.0.1.9]",
        "[]",
        ("networks.trusted_proxies", "proxies", WIDENS),
    ),
    # Whose tokens
    _case(
        "MeshConfig.issuers",
        "a further issuer",
        "limits:",
        "  - {issuer: https://more.example, file: jwks.json, audiences: [shop]}\nlimits:",
        ("https://more.example", "issuer-added", WIDENS),
        issuer_added={PUT, TAKE},
    ),
    _case(
        "Issuer.issuer",
        "an issuer with another name",
        "https://issuer.example",
        "https://other.example",
        (ISSUER, "issuer-removed", BREAKS),
        ("https://other.example", "issuer-added", WIDENS),
        (PUT, "binding-removed", BREAKS),
        (PUT, "binding-added", WIDENS),
    ),
    _case(
        "Issuer.audiences",
        "an audience less",
        _AUDIENCES,
        "audiences: [shop]",
        (ISSUER, "issuer-audience-removed", BREAKS),
        issuer_audience_removed={PUT},
    ),
    _case(
        "Issuer.audiences",
        "an audience more",
        _AUDIENCES,
        "audiences: [till, shop, more]",
        (ISSUER, "issuer-audience-added", WIDENS),
        issuer_audience_added={PUT},
    ),
    _case("Issuer.audiences", "the same audiences", _AUDIENCES, "audiences: [till, shop]"),
    _case(
        "Issuer.algorithms",
        "an algorithm more, one less",
        "[ES256, RS256]",
        "[ES256, ES384]",
        (ISSUER, "issuer-algorithm-removed", BREAKS),
        (ISSUER, "issuer-algorithm-added", WIDENS),
    ),
    _case(
        "Issuer.token_type",
        "another kind of token",
        "algorithms: [ES256",
        "token_type: JWT\n    algorithms: [ES256",
        (ISSUER, "issuer-token-type-refused", BREAKS),
        (ISSUER, "issuer-token-type-taken", WIDENS),
    ),
    _case(
        "Issuer.groups_claim",
        "groups from another claim",
        "algorithms: [ES256",
        "groups_claim: teams\n    algorithms: [ES256",
        (ISSUER, "issuer-groups-refused", BREAKS),
        (ISSUER, "issuer-groups-taken", WIDENS),
    ),
    _case(
        "Issuer.file",
        "keys from another file",
        "jwks.json",
        "other.json",
        (ISSUER, "issuer-keys", WIDENS),
    ),
    _case(
        "Issuer.jwks",
        "keys from an address",
        "file: jwks.json",
        "jwks: https://issuer.example/jwks",
        (ISSUER, "issuer-keys", WIDENS),
    ),
    _case(
        "Issuer.discovery",
        "keys by discovery",
        "file: jwks.json",
        "discovery: https://issuer.example/.well-known/openid-configuration",
        (ISSUER, "issuer-keys", WIDENS),
    ),
    _case(
        "Issuer.introspection",
        "opaque tokens",
        "algorithms: [ES256",
        "introspection: https://issuer.example/ask\n    client_id: mesh\n"
        "    client_secret_file: secret\n    algorithms: [ES256",
        (ISSUER, "issuer-opaque-taken", WIDENS),
        (ISSUER, "issuer-client", NOTE),
    ),
    _case(
        "Issuer.client_id",
        "another client",
        "algorithms: [ES256",
        "client_id: mesh\n    algorithms: [ES256",
        (ISSUER, "issuer-client", NOTE),
    ),
    _case(
        "Issuer.client_secret_file",
        "another secret",
        "algorithms: [ES256",
        "client_secret_file: secret\n    algorithms: [ES256",
        (ISSUER, "issuer-client", NOTE),
    ),
    _case(
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
    _case(
        "AuditSettings.keep",
        "fewer audit files",
        "keep: 4",
        "keep: 3",
        ("audit", "audit-kept-less", WIDENS),
    ),
    _case(
        "AuditSettings.max_bytes",
        "longer audit files",
        "max_bytes: 1000",
        "max_bytes: 2000",
        ("audit", "audit-kept-longer", NOTE),
    ),
)

DECIDES_NOTHING: Final = {
    "Service": {"factory", "address", "replicas", "storage", "command", "web"},
    "MeshConfig": {
        "identity",
        "telemetry",
        "driver",
        "systems",
        "examples",
        # By their own tests:
        "trust_domain",
        "bindings_file",
        "overlay",
        # By the keys in them:
        "denied",
        "networks",
        "audit",
        "limits",
    },
}
"""What says nothing about whose calls are let in, nor how many."""
