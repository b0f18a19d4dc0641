"""What must hold of the token issuers in a mesh.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from meshpact.mesh.model import Issuer
from meshpact.mesh.problems import shown
from meshpact.mesh.tree import Place, Tree
from meshpact.mesh.urls import SAFE_URLS, is_safe_url

ALGORITHMS: Final = (
    "ES256",
    "ES384",
    "ES512",
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "EdDSA",
    "Ed25519",
)
"""Signature algorithms of tokens: the asymmetric ones of RFC 7518, RFC 8037 and RFC 9864."""

_SOURCES: Final = ("jwks", "discovery", "file")
_ADDRESSES: Final = ("jwks", "discovery", "introspection", "token_endpoint")


def check_issuers(issuers: Sequence[Issuer], tree: Tree) -> None:
    """Faults go to the tree."""
    first: dict[str, int] = {}
    asked: dict[str, int] = {}
    for index, issuer in enumerate(issuers):
        place: Place = ("issuers", index)
        if first.setdefault(issuer.issuer, index) != index:
            tree.add(
                (*place, "issuer"), f"{shown(issuer.issuer)} stands twice", "", "Keep one of them"
            )
        _keys(issuer, place, tree)
        for key in _ADDRESSES:
            url = str(getattr(issuer, key))
            if url and not is_safe_url(url):
                tree.add((*place, key), f"found {shown(url)}", SAFE_URLS)
        for position, audience in enumerate(issuer.audiences):
            if not audience:
                tree.add((*place, "audiences", position), "found an empty text", "a name")
        for position, algorithm in enumerate(issuer.algorithms):
            if algorithm not in ALGORITHMS:
                tree.add(
                    (*place, "algorithms", position),
                    f"found {shown(algorithm)}",
                    ", ".join(ALGORITHMS),
                )
        if issuer.introspection:
            asked[issuer.issuer] = index
            _client(issuer, "introspection", place, tree)
        if issuer.token_endpoint:
            _client(issuer, "token_endpoint", place, tree)
    if len(asked) > 1:
        tree.add(
            ("issuers", max(asked.values()), "introspection"),
            f"opaque tokens of {len(asked)} issuers",
            "introspection at one issuer only: an opaque token does not say whose it is, and what "
            "is sent to another issuer could be used by it",
            f"Keep it at one of {', '.join(asked)}",
        )


def _keys(issuer: Issuer, place: Place, tree: Tree) -> None:
    given = [key for key in _SOURCES if getattr(issuer, key)]
    if len(given) > 1 or not (given or issuer.introspection):
        tree.add(
            place,
            f"{' and '.join(given) or 'no source of keys'} given",
            "exactly one of jwks, discovery, file (or none beside introspection)",
        )


def _client(issuer: Issuer, key: str, place: Place, tree: Tree) -> None:
    missing = [each for each in ("client_id", "client_secret_file") if not getattr(issuer, each)]
    if missing:
        tree.add(
            (*place, key),
            f"no {' and no '.join(missing)}",
            f"{key} with both, as whom this mesh asks",
            f"Add {' and '.join(missing)}",
        )
