"""The callers of the oracle: real certificates and tokens, each with the facts about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from meshpact.interceptors.keys import FileKeys
from meshpact.interceptors.tokens import Issuer, Tokens
from meshpact.mesh.bindings import Reloader
from meshpact.mesh.config import load
from meshpact.testing.authority import Authority, Leaf
from meshpact.testing.rawwire import ClientIdentity
from meshpact.testing.tokens import TokenIssuer
from oracle.reference import Mesh, Token

HOME, PARTNER = "oracle.example", "partner.example"
MESH = Mesh(observed=frozenset({"o.observed"}), audiences=frozenset({"mesh"}), metadata_limit=3000)
AHEAD = 1800.0
"""The guard's clock runs this far ahead, so that a leaf which TLS still accepts has expired."""

WORKLOADS = {
    f"spiffe://{HOME}/reader": {"a.reader"},
    f"spiffe://{HOME}/writer": {"a.reader", "a.writer"},
    f"spiffe://{PARTNER}/reader": {"b.partner"},
}
USERS = {"alice": {"a.reader"}}
GROUPS = {"staff": {"a.writer"}}


@dataclass(frozen=True)
class Workload:
    """A certificate and what it is worth."""

    wire: ClientIdentity
    id: str
    certificate: str
    roles: frozenset[str]


@dataclass(frozen=True)
class Bearer:
    """An `authorization` value ("" for none) and what it is worth."""

    header: str
    facts: Token | None


class Cast:
    """Everybody who calls, and what a server needs to judge them: `mesh_file`, a mesh.yaml in which
    no network may call the `closed` methods (paths), and access to the `observed` is observed."""

    def __init__(
        self,
        folder: Path,
        closed: Iterable[str] = (),
        observed: Iterable[str] = (),
    ) -> None:
        self.home, self.partner = Authority(HOME), Authority(PARTNER)
        self.server_leaf = self.home.issue("stage")
        issuer = TokenIssuer("https://issuer.example")
        keys = issuer.write_jwks(folder / "jwks.json")
        self.issuers = (Issuer(issuer.name, FileKeys(keys), MESH.audiences, frozenset({"ES256"})),)
        self.mesh_file = folder / "mesh.yaml"
        self.mesh_file.write_text(_mesh_yaml(issuer.name, keys, closed, observed))
        self.bindings = Reloader(self.mesh_file)
        self.config = load(self.mesh_file)
        self.workloads = self._workloads()
        self.nobody = Workload(
            ClientIdentity(b"", b"", self.home.roots_pem), "", "none", frozenset()
        )
        self.bearers = _bearers(issuer)

    def tokens(self) -> Tokens:
        """A verifier of end users' tokens."""
        return Tokens(self.issuers)

    def _workloads(self) -> list[Workload]:
        home, partner = self.home, self.partner

        def good(ca: Authority, service: str) -> Workload:
            identity = f"spiffe://{ca.trust_domain}/{service}"
            roles = frozenset(WORKLOADS.get(identity, set()))
            return Workload(self._wire(ca.issue(service)), identity, "good", roles)

        def bad(leaf: Leaf, certificate: str = "bad") -> Workload:
            return Workload(self._wire(leaf), "", certificate, frozenset())

        return [
            good(home, "reader"),
            good(home, "writer"),
            good(home, "idle"),
            good(partner, "reader"),
            good(partner, "idle"),
            bad(home.issue("reader", lifetime=AHEAD / 2), "expired"),
            bad(home.issue("reader", uris=[f"spiffe://{PARTNER}/reader"])),
            bad(home.issue("reader", uris=[])),
            bad(home.issue("reader", uris=[f"spiffe://{HOME}/{n}" for n in ("reader", "writer")])),
            bad(home.issue("reader", uris=[f"https://{HOME}/reader"])),
        ]

    def _wire(self, leaf: Leaf) -> ClientIdentity:
        return ClientIdentity(leaf.chain_pem, leaf.key_pem, self.home.roots_pem)


def _mesh_yaml(issuer: str, keys: Path, closed: Iterable[str], observed: Iterable[str]) -> str:
    roles: dict[str, dict[str, list[str]]] = {}
    for kind, holders in (("workloads", WORKLOADS), ("users", USERS), ("groups", GROUPS)):
        for holder, held in holders.items():
            for role in sorted(held):
                roles.setdefault(role, {}).setdefault(kind, []).append(holder)
    audiences = sorted(MESH.audiences)
    whole: dict[str, object] = {
        "trust_domain": HOME,
        "federation": {PARTNER: {"bundle": "partner.json"}},
        "issuers": [{"issuer": issuer, "file": str(keys), "audiences": audiences}],
        "roles": {**roles, **{role: {"mode": "observe"} for role in MESH.observed}},
        "networks": {"methods": {path[1:]: [] for path in closed}},
        "methods": {path[1:]: {"mode": "observe"} for path in observed},
    }
    return yaml.safe_dump(whole, sort_keys=True, width=1000)


def _bearers(issuer: TokenIssuer) -> list[Bearer]:
    def good(user: str, audience: set[str], scopes: set[str], groups: set[str]) -> Bearer:
        roles = frozenset(USERS.get(user, set())).union(*(GROUPS.get(g, set()) for g in groups))
        text = issuer.mint(
            user, audience=sorted(audience), scopes=sorted(scopes), groups=sorted(groups)
        )
        return Bearer(f"Bearer {text}", Token(user, frozenset(audience), frozenset(scopes), roles))

    def bad(text: str, fault: str = "invalid") -> Bearer:
        return Bearer(text, Token("", frozenset(), frozenset(), frozenset(), fault))

    def mint(by: TokenIssuer, lifetime: float = 600.0, **header: object) -> str:
        audience, scopes = ("mesh", "special"), ("x.read",)
        return by.mint("alice", audience=audience, scopes=scopes, lifetime=lifetime, header=header)

    forger = TokenIssuer(issuer.name, key_id=issuer.key_id)
    stranger = TokenIssuer("https://elsewhere.example")
    minted = mint(issuer)
    return [
        Bearer("", None),
        good("alice", {"mesh"}, {"x.read"}, set()),
        good("alice", {"mesh", "special"}, {"x.read", "x.write"}, set()),
        good("bob", {"mesh", "special"}, {"x.write"}, {"staff"}),
        good("carol", {"special"}, {"x.read", "x.write"}, {"guests"}),
        good("dora", {"elsewhere"}, set(), set()),
        bad(f"Bearer {mint(issuer, -30)}", "expired"),
        bad(f"Bearer {mint(forger)}"),
        bad(f"Bearer {mint(stranger)}"),
        bad(f"Bearer {mint(issuer, typ='JWT')}"),
        bad(f"Bearer {minted[:-8]}AAAAAAAA"),
        bad("Bearer none"),
        bad("Basic YWxpY2U6c2VjcmV0"),
        bad(minted),
    ]


@cache
def malformed_metadata() -> tuple[tuple[str, bytes], ...]:
    """Entries that no honest client sends."""
    return (
        ("x-a", b"a\r\nb"),
        ("x-b", b"a\0b"),
        ("x-c", b"\x01"),
        ("x-d", "\N{LATIN SMALL LETTER E WITH ACUTE}".encode()),
        ("x-e", b"\xff"),
        ("x-f", b"a\x7f"),
    )
