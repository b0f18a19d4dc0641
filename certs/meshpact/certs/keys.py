"""Private keys that sign: their kinds, and how they lie in files, encrypted or not."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

_EXPONENT: Final = 65537
_SMALLEST_RSA: Final = 2048
_CURVES: Final = ("secp256r1", "secp384r1")


class KeyType(StrEnum):
    """The kinds of keys that a CA or a workload may have."""

    EC_P256 = "ec-p256"
    EC_P384 = "ec-p384"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"


class UnusableKey(Exception):
    """A private key cannot be used. `rule` is `key` or `passphrase`; the text ends a sentence."""

    def __init__(self, rule: str, fault: str) -> None:
        super().__init__(fault)
        self.rule = rule


def generate(kind: KeyType) -> PrivateKey:
    """A new key from the operating system's random numbers."""
    match kind:
        case KeyType.EC_P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyType.EC_P384:
            return ec.generate_private_key(ec.SECP384R1())
        case KeyType.RSA_2048 | KeyType.RSA_3072 | KeyType.RSA_4096:
            return rsa.generate_private_key(_EXPONENT, int(kind.value.removeprefix("rsa-")))


def kind_of(key: PrivateKey) -> KeyType:
    """The kind to make another key of the same strength; the next smaller one for odd RSA sizes."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return KeyType.EC_P256 if key.curve.name == "secp256r1" else KeyType.EC_P384
    sizes = (KeyType.RSA_4096, KeyType.RSA_3072)
    fitting = (each for each in sizes if key.key_size >= int(each.value.removeprefix("rsa-")))
    return next(fitting, KeyType.RSA_2048)


def digest(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384:
    """The hash that fits a key's strength when it signs."""
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp384r1":
        return hashes.SHA384()
    return hashes.SHA256()


def encode(key: PrivateKey, passphrase: bytes | None = None) -> bytes:
    """A key as PKCS #8 in PEM, encrypted when there is a passphrase."""
    how = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)


def is_encrypted(pem: bytes) -> bool:
    """Whether a PEM text says of itself that its key is encrypted."""
    return b"BEGIN ENCRYPTED PRIVATE KEY" in pem or b"Proc-Type: 4,ENCRYPTED" in pem


def decode(pem: bytes, passphrase: bytes | None = None) -> PrivateKey:
    """The key that a PEM text holds; the passphrase counts only when it is encrypted.

    UnusableKey tells a key that cannot be read or is of another kind from a passphrase that is
    missing or wrong. Nothing of the text is quoted.
    """
    encrypted = is_encrypted(pem)
    if encrypted and not passphrase:
        raise UnusableKey("passphrase", "is encrypted, and no passphrase was given")
    try:
        key = load_pem_private_key(pem, passphrase if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if encrypted:
            raise UnusableKey(
                "passphrase", "cannot be decrypted: the passphrase is wrong, or the file is damaged"
            ) from None
        raise UnusableKey("key", "is not a readable PEM private key") from None
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return key
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _SMALLEST_RSA:
        return key
    raise UnusableKey(
        "key", "is of a kind that is not taken: P-256, P-384 and RSA from 2048 bits are allowed"
    )
