"""Project Wycheproof's vectors for JSON Web Signatures, judged by the signature layer.

Each is verified with its group's key; the allow-list holds the algorithm that the key is for, or,
for a key that does not say, every algorithm of its type.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry

from meshpact.interceptors import signature
from meshpact.interceptors.signature import SignatureFault

FILE: Final = Path(__file__).parent / "data" / "json_web_signature_test.json"

REFUSED: Final[Mapping[int, str]] = MappingProxyType(
    {
        346: "the header says PS384, the key is for PS256 (RFC 7517, 4.4)",
        347: "the key is for ES521, which is no algorithm; the header says ES512",
        350: "the header says PS384, the key is for PS256; as 346, with key_ops",
        351: "the key is for ES521, which is no algorithm; as 347, with key_ops",
        372: "a ? stands in the base64url of the header (RFC 7515, 2: no other characters)",
        373: "a ? stands in the base64url of the payload",
    }
)
"""Vectors that are called valid, and that a careful verifier refuses: tcId -> why."""

SAME: Final[Mapping[int, int]] = MappingProxyType({367: 357, 370: 357})
"""Vectors that are called invalid, and are byte for byte (token and key) one that is called valid:
the padding that their comments speak of is not in the file. No verifier can judge both as they say
(https://github.com/C2SP/wycheproof/issues/236)."""

_OF_TYPE: Final[Mapping[str, Collection[str]]] = MappingProxyType(
    {
        "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        "EC": ("ES256", "ES384", "ES512"),
        "oct": ("HS256", "HS384", "HS512"),
    }
)


@dataclass(frozen=True)
class Vector:
    """One vector: a token (some are JSON objects, which is another serialization) and a key."""

    number: int
    comment: str
    valid: bool
    token: str
    key: Mapping[str, Any]

    @property
    def acceptable(self) -> bool:
        """What a careful verifier says."""
        return self.valid and self.number not in REFUSED

    def accepted(self) -> bool:
        """What the signature layer says."""
        return self.fault == ""

    @property
    def fault(self) -> str:
        """Why the signature layer refuses it, "" when it does not."""
        named = self.key.get("alg")
        allowed = [named] if named else _OF_TYPE[self.key["kty"]]
        try:
            key = JWKRegistry.import_key(dict(self.key))
            signature.check(signature.parse(self.token), [key], allowed)
        except (SignatureFault, JoseError) as fault:
            return str(fault) or type(fault).__name__
        return ""


def vectors() -> Iterator[Vector]:
    """All of them."""
    for group in json.loads(FILE.read_text(encoding="utf-8"))["testGroups"]:
        key = group.get("public") or group["private"]
        for test in group["tests"]:
            token = test["jws"] if isinstance(test["jws"], str) else json.dumps(test["jws"])
            yield Vector(test["tcId"], test["comment"], test["result"] == "valid", token, key)
