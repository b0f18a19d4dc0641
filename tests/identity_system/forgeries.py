"""JWTs as attackers make them: each looks like one that is good, and is none."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc.jwk import ECKey

Json = Mapping[str, Any]
DEEP: Final = 2500


class Forgery(NamedTuple):
    """A name for people, and the token."""

    name: str
    token: str


def encoded(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def told(content: Json | str) -> str:
    """A part of a token; text goes as it is."""
    return encoded((content if isinstance(content, str) else json.dumps(content)).encode())


def signed(key: ECKey, header: Json | str, claims: Json | str, *, der: bool = False) -> str:
    """A JWS with ES256, whatever its header says."""
    begun = f"{told(header)}.{told(claims)}"
    return f"{begun}.{encoded(_es256(key, begun.encode(), der=der))}"


def _es256(key: ECKey, data: bytes, *, der: bool = False) -> bytes:
    private = key.private_key
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    made = private.sign(data, ec.ECDSA(hashes.SHA256()))
    if der:
        return made
    r, s = decode_dss_signature(made)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _hmac(secret: bytes, header: Json, claims: Json) -> str:
    begun = f"{told(header)}.{told(claims)}"
    return f"{begun}.{encoded(hmac.digest(secret, begun.encode(), hashlib.sha256))}"


def unsigned(good: str, public: ECKey) -> Iterator[Forgery]:
    """Forgeries of who has a good token and the public key, and no private one."""
    begun, claims, signature = good.split(".")
    header = json.loads(_raw(begun))
    said = json.loads(_raw(claims))
    mine = ECKey.generate_key("P-256")
    address = "https://evil.example/keys.json"
    for name in ("none", "None", "nOnE", ""):
        for end in ("", signature):
            yield Forgery(f"alg {name!r}", f"{told({**header, 'alg': name})}.{claims}.{end}")
    pem, jwk = public.as_pem(private=False), json.dumps(public.as_dict(private=False)).encode()
    for what, secret in (
        ("PEM", pem),
        ("PEM, stripped", pem.strip()),
        ("JWK", jwk),
        ("nothing", b""),
    ):
        yield Forgery(f"HS256 with {what}", _hmac(secret, {**header, "alg": "HS256"}, said))
    for kid in ("../../../../dev/null", "/etc/passwd", "' OR 1=1 --", "", "unheard-of", "\0"):
        yield Forgery(f"kid {kid!r}", signed(mine, {**header, "kid": kid}, said))
        empty = _hmac(b"", {**header, "alg": "HS256", "kid": kid}, said)
        yield Forgery(f"HS256, kid {kid!r}", empty)
    yield Forgery("kid is no text", signed(mine, {**header, "kid": ["a"]}, said))
    known = {"jwk": mine.as_dict(private=False), "jku": address, "x5u": address, "x5c": ["MII="]}
    for name, value in known.items():
        yield Forgery(name, signed(mine, {**header, name: value}, said))
        without = {key: each for key, each in header.items() if key != "kid"}
        yield Forgery(f"{name} without kid", signed(mine, {**without, name: value}, said))
    yield Forgery("another's key", signed(mine, header, said))
    for name, end in (
        ("no signature", ""),
        ("zeros for a signature", encoded(bytes(64))),
        ("half a signature", signature[:43]),
        ("twice the signature", signature * 2),
    ):
        yield Forgery(name, f"{begun}.{claims}.{end}")
    yield Forgery("other claims", f"{begun}.{told({**said, 'groups': ['supervisor']})}.{signature}")
    yield Forgery("other type", f"{told({**header, 'typ': 'JWT'})}.{claims}.{signature}")
    yield Forgery("padding", f"{begun}=.{claims}=.{signature}=")
    yield Forgery("a fourth part", f"{good}.{signature}")
    yield Forgery("five parts", f"{begun}..{signature}.{claims}.{signature}")
    yield Forgery(
        "JSON", json.dumps({"payload": claims, "protected": begun, "signature": signature})
    )
    yield Forgery("compressed", signed(mine, {**header, "zip": "DEF"}, said))
    yield Forgery("encrypted", f"{told({'alg': 'dir', 'enc': 'A256GCM'})}....")
    for depth in (DEEP, DEEP // 10):
        deep = "[" * depth + "]" * depth
        yield Forgery("a deep header", f"{encoded(deep.encode())}.{claims}.{signature}")
        inside = f'{{"typ":"at+jwt","alg":"ES256","a":{deep}}}'
        yield Forgery("depth inside a header", f"{told(inside)}.{claims}.{signature}")
        yield Forgery("deep claims", f"{begun}.{encoded(deep.encode())}.{signature}")
    number = '{"alg":1' + "0" * 5000 + "}"
    yield Forgery("a long number", f"{told(number)}.{claims}.{signature}")
    for part in ("null", "1", '"a"', "[]", "{}", "{", "\ufeff{}", '{"alg":"ES256","alg":"none"}'):
        yield Forgery(f"the header {part!r}", f"{told(part)}.{claims}.{signature}")
        yield Forgery(f"the claims {part!r}", signed(mine, header, part))
    for text in (
        ".",
        "..",
        "...",
        "a.b.c",
        "\u00e4.\u00f6.\u00fc",
        "x" * 7000,
        "a" * 3000 + ".b.c",
    ):
        yield Forgery(f"{text[:9]!r}", text)


def misused(good: str, key: ECKey) -> Iterator[Forgery]:
    """What the right key has signed, and is not an access token for this system at this moment."""
    begun, claims, _ = good.split(".")
    header: dict[str, Any] = json.loads(_raw(begun))
    said: dict[str, Any] = json.loads(_raw(claims))
    for kind in ("JWT", "", "logout+jwt", "secevent+jwt"):
        yield Forgery(f"typ {kind!r}", signed(key, {**header, "typ": kind}, said))
    del header["typ"]
    yield Forgery("no typ", signed(key, header, said))
    header = {**header, "typ": "at+jwt"}
    changes: dict[str, Callable[[], Json]] = {
        "expired": lambda: {"exp": said["iat"] - 3600},
        "not good yet": lambda: {"nbf": said["exp"] + 3600},
        "issued in the future": lambda: {"iat": said["exp"] + 86400},
        "another audience": lambda: {"aud": "support.acme.example"},
        "no audience": lambda: {"aud": []},
        "an audience that contains it": lambda: {"aud": f"{said['aud']}.evil.example"},
        "issuer with a slash": lambda: {"iss": f"{said['iss']}/"},
        "issuer in capitals": lambda: {"iss": said["iss"].upper()},
        "issuer in a list": lambda: {"iss": [said["iss"]]},
        "an end that is text": lambda: {"exp": str(said["exp"])},
        "an end that is true": lambda: {"exp": True},
        "no subject": lambda: {"sub": ""},
        "a subject that is a number": lambda: {"sub": 7},
    }
    for name, change in changes.items():
        yield Forgery(name, signed(key, header, {**said, **change()}))
    for name in ("exp", "iss", "aud", "sub"):
        without = {each: value for each, value in said.items() if each != name}
        yield Forgery(f"without {name}", signed(key, header, without))
    for end in ("NaN", "Infinity", "1e999", "-1"):
        text = json.dumps({**said, "exp": 0}).replace('"exp": 0', f'"exp": {end}')
        yield Forgery(f"an end at {end}", signed(key, header, text))
    crit = {**header, "b64": False, "crit": ["b64"]}
    yield Forgery("b64=false", signed(key, crit, said))
    plain = f"{told(crit)}.{json.dumps(said)}"
    yield Forgery(
        "b64=false, claims as they are", f"{plain}.{encoded(_es256(key, plain.encode()))}"
    )
    yield Forgery("unknown crit", signed(key, {**header, "crit": ["x"], "x": 1}, said))
    yield Forgery("signature in DER", signed(key, header, said, der=True))


def _raw(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
