"""The public keys of one issuer (JWK set, RFC 7517): which of them may verify what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, cast

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, OKPKey, RSAKey

from meshpact.interceptors.errors import MeshpactError
from meshpact.interceptors.strictjson import parse_object

MAX_KEYS: Final = 100
RSA_BITS: Final = range(2048, 8193)

_SECRET: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

_KINDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "RS256": ("RSA", ""),
        "RS384": ("RSA", ""),
        "RS512": ("RSA", ""),
        "PS256": ("RSA", ""),
        "PS384": ("RSA", ""),
        "PS512": ("RSA", ""),
        "ES256": ("EC", "P-256"),
        "ES384": ("EC", "P-384"),
        "ES512": ("EC", "P-521"),
        "Ed25519": ("OKP", "Ed25519"),
        "EdDSA": ("OKP", "Ed25519"),
        "HS256": ("oct", ""),
        "HS384": ("oct", ""),
        "HS512": ("oct", ""),
    }
)
"""Algorithm (RFC 7518, 8037, 9864) -> the type of key and the curve that it takes."""


class KeysError(MeshpactError):
    """A key set cannot be had or read: no token of its issuer can be verified by it."""


@dataclass(frozen=True, slots=True, eq=False)
class KeyRing:
    """The keys of an issuer at one moment. Two rings are never equal: a ring is what was read."""

    keys: tuple[Key, ...]

    def has(self, key_id: str) -> bool:
        """Whether a key has this ID; "" stands for the only key of a ring."""
        return bool(self._named(key_id))

    def fitting(self, key_id: str, algorithm: str) -> list[Key]:
        """The keys of this ID that may verify signatures of this algorithm."""
        return [key for key in self._named(key_id) if fits(key, algorithm)]

    def _named(self, key_id: str) -> Sequence[Key]:
        if not key_id:
            return self.keys if len(self.keys) == 1 else ()
        return [key for key in self.keys if key.kid == key_id]

    def __repr__(self) -> str:
        return f"KeyRing({[key.kid for key in self.keys]})"


def fits(key: Key, algorithm: str) -> bool:
    """Whether a key may verify by an algorithm: type, curve, size, `use`, `key_ops` and `alg`."""
    kind, curve = _KINDS.get(algorithm, ("", ""))
    if key.key_type != kind or key.get("use") not in (None, "sig"):
        return False
    operations = key.get("key_ops")
    if operations is not None and "verify" not in operations:
        return False
    if key.get("alg") not in (None, algorithm):
        return False
    if isinstance(key, ECKey | OKPKey):
        return key.curve_name == curve
    return not isinstance(key, RSAKey) or key.public_key.key_size in RSA_BITS


def parse_keys(content: bytes) -> KeyRing:
    """The keys of a JWK set document. Raises KeysError.

    A key that cannot be used here (another type, another use, not well-formed) is left out. A set
    that publishes a private or a symmetric key is refused whole: its issuer is not to be trusted.
    """
    try:
        listed = parse_object(content).get("keys")
    except ValueError as error:
        raise KeysError(f"not a JWK set: {error}") from None
    if not isinstance(listed, list):
        raise KeysError('not a JWK set: it has no list "keys"')
    entries = cast("list[object]", listed)
    if len(entries) > MAX_KEYS:
        raise KeysError(f"the key set has {len(entries)} keys; at most {MAX_KEYS} are read")
    if any(not _SECRET.isdisjoint(_members(entry)) for entry in entries):
        raise KeysError("the key set holds private keys; publish public ones only")
    found = [key for entry in entries if (key := _key(entry)) is not None]
    if entries and not found:
        raise KeysError(f"none of the {len(entries)} keys in the key set can be used here")
    return KeyRing(tuple(found))


def _members(entry: object) -> dict[str, Any]:
    return cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}


def _key(entry: object) -> Key | None:
    try:
        key = JWKRegistry.import_key(_members(entry))
        key.ensure_kid()
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key if any(fits(key, algorithm) for algorithm in _KINDS) else None
