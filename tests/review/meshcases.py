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


def mesh_case(
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


MESH_CASES: Final = (
    # Who is who
    mesh_case(
        "MeshConfig.services",
        "a service without effect on access",
        "  night: {",
        "  day: {}\n  night: {",
    ),
    mesh_case(
        "Service.id",
        "another identity",
        "night: {",
        "night: {id: spiffe://shop.example/nights, ",
        ("services.night", "identity-changed", NOTE),
        (PUT, "binding-removed", BREAKS),
        (PUT, "binding-added", WIDENS),
    ),
    mesh_case(
        "Service.audience",
        "a service's own audience",
        "desk: {factory",
        "desk: {audience: counter, factory",
        ("services.desk", "audience-refused", BREAKS),
        ("services.desk", "audience-accepted", WIDENS),
        audience_refused={PUT},
    ),
    mesh_case(
        "Service.audience",
        "the audience of a service that serves nothing",
        "night: {",
        "night: {audience: moon, ",
    ),
    mesh_case("Service.calls", "declared calls", "calls: [shop.v1.Stock/Get]", "calls: []"),
    mesh_case("Service.serves", "who serves", ", serves: [shop.v1.Stock]", ""),
    mesh_case(
        "MeshConfig.federation",
        "another domain",
        "federation:\n",
        "federation:\n  other.example: {bundle: other.json}\n",
        ("federation.other.example", "federation-added", WIDENS),
        federation_added=set(),
    ),
    mesh_case(
        "MeshConfig.federation",
        "a domain that is gone",
        "  partner.example: {bundle: partner.json}\n",
        "  {}\n",
        ("federation.partner.example", "federation-removed", BREAKS),
        federation_removed={GET, PUT, TAKE},
    ),
    mesh_case(
        "Federated.bundle",
        "another bundle",
        "partner.json",
        "https://partner.example/bundle.json",
        ("federation.partner.example", "federation-bundle", WIDENS),
    ),
    mesh_case(
        "Federated.refresh",
        "how often it is looked at",
        "partner.json}",
        "partner.json, refresh: 60}",
    ),
    mesh_case(
        "Denied.workloads",
        "a workload denied",
        "denied: {workloads: [",
        "denied: {workloads: [web, ",
        ("denied.web", "identity-denied", BREAKS),
        identity_denied={GET, PUT, TAKE},
    ),
    mesh_case(
        "Denied.workloads",
        "a workload denied that another entry denies",
        "denied: {workloads: [",
        'denied: {workloads: ["spiffe://shop.example/old/till", ',
    ),
    mesh_case(
        "Denied.workloads",
        "a workload not denied any more",
        '["spiffe://shop.example/old/*"]',
        "[]",
        ("denied.spiffe://shop.example/old/*", "identity-not-denied", WIDENS),
        identity_not_denied={PUT},
    ),
    mesh_case(
        "Denied.serials",
        "a certificate denied",
        '["0a0b"]',
        '["0A:0B", "ff"]',
        ("denied.ff", "identity-denied", BREAKS),
    ),
    mesh_case(
        "Denied.serials",
        "a certificate not denied any more",
        '["0a0b"]',
        "[]",
        ("denied.0a0b", "identity-not-denied", WIDENS),
    ),
    # Who may what
    mesh_case(
        "Role.workloads",
        "a workload bound",
        "{workloads: [night]",
        "{workloads: [night, web]",
        (PUT, "binding-added", WIDENS),
    ),
    mesh_case(
        "Role.workloads",
        "a workload unbound",
        "{workloads: [night]",
        "{workloads: []",
        (PUT, "binding-removed", BREAKS),
    ),
    mesh_case(
        "Role.users",
        "a user unbound",
        f"users: [{_ANNA}]",
        "users: []",
        (PUT, "binding-removed", BREAKS),
    ),
    mesh_case(
        "Role.groups",
        "a group bound",
        f"groups: [{_STAFF}]",
        f"groups: [{_STAFF}, {_ANNA}]",
        (PUT, "binding-added", WIDENS),
    ),
    mesh_case(
        "Role.includes",
        "a role included",
        "shop.writer: {",
        "shop.writer: {includes: [shop.reader], ",
        (GET, "binding-added", WIDENS),
        (TAKE, "binding-added", WIDENS),
    ),
    mesh_case(
        "MeshConfig.roles", "a role that no method asks for", "shop.unused: {workloads: [web]}", ""
    ),
    mesh_case(
        "Role.mode",
        "a role observed",
        "shop.reader: {",
        "shop.reader: {mode: observe, ",
        ("roles.shop.reader", "observed", WIDENS),
        observed={GET, TAKE},
    ),
    mesh_case(
        "Role.mode",
        "a role observed that no method asks for",
        "shop.unused: {",
        "shop.unused: {mode: observe, ",
        ("roles.shop.unused", "observed", NOTE),
    ),
    mesh_case(
        "Method.mode",
        "a method observed",
        "federation:\n",
        "methods: {shop.v1.Stock/Get: {mode: observe}}\nfederation:\n",
        (GET, "observed", WIDENS),
        observed={GET},
    ),
    mesh_case(
        "MeshConfig.methods",
        "all methods of a service observed",
        "federation:\n",
        'methods: {"shop.v1.Stock/*": {mode: observe}}\nfederation:\n',
        (GET, "observed", WIDENS),
        (PUT, "observed", WIDENS),
        (TAKE, "observed", WIDENS),
    ),
    # From where
    mesh_case(
        "NetworkLists.mesh",
        "a wider mesh that a service's list holds back",
        "mesh: [10.0.0.0/8, unix]",
        "mesh: [10.0.0.0/8, 11.0.0.0/8, unix]",
        ("networks.mesh", "network-widened", NOTE),
    ),
    mesh_case(
        "NetworkLists.mesh",
        "a smaller mesh",
        "mesh: [10.0.0.0/8, unix]",
        "mesh: [10.0.0.0/17, unix]",
        ("networks.mesh", "network-tightened", BREAKS),
        network_tightened={GET, TAKE},
    ),
    mesh_case(
        "NetworkLists.mesh",
        "no sockets",
        "mesh: [10.0.0.0/8, unix]",
        "mesh: [10.0.0.0/8]",
        ("networks.mesh", "network-tightened", BREAKS),
        network_tightened={GET, TAKE},
    ),
    mesh_case(
        "NetworkLists.services",
        "a service from fewer networks",
        "desk: [10.0.0.0/16, unix]",
        "desk: [10.0.1.0/24, unix]",
        ("networks.services.desk", "network-tightened", BREAKS),
        network_tightened={GET, TAKE},
    ),
    mesh_case(
        "NetworkLists.services",
        "a service that serves nothing",
        "desk: [10.0.0.0/16, unix]}",
        "desk: [10.0.0.0/16, unix], web: [10.0.0.1]}",
        ("networks.services.web", "network-tightened", BREAKS),
    ),
    mesh_case(
        "NetworkLists.methods",
        "a method from more networks",
        _METHODS,
        "methods: {shop.v1.Stock/Put: [10.0.0.0/22]}",
        ("networks.methods.shop.v1.Stock/Put", "network-widened", WIDENS),
        network_widened={PUT},
    ),
    mesh_case(
        "NetworkLists.methods",
        "a method whose list is gone",
        _METHODS,
        "methods: {}",
        ("networks.methods.shop.v1.Stock/Put", "network-widened", WIDENS),
        network_widened={PUT},
    ),
    mesh_case(
        "NetworkLists.trusted_proxies",
        "a further proxy in the lists",
        "[10.0.1.9]",
        "[10.0.1.9, 10.0.0.9]",
        ("networks.trusted_proxies", "proxies", WIDENS),
        ("networks.trusted_proxies", "proxies-tightened", BREAKS),
        proxies={PUT},
        proxies_tightened={GET, TAKE},
    ),
    mesh_case(
        "NetworkLists.trusted_proxies",
        "a proxy no more",
        "[10.0.1.9]",
        "[]",
        ("networks.trusted_proxies", "proxies", WIDENS),
    ),
)

DECIDES_NOTHING: Final = {
    "Service": {"factory", "address", "replicas", "storage", "command", "web"},
    "MeshConfig": {
        "identity",
        "databases",
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
