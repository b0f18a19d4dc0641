"""The attacks of docs/wire-hygiene.md, one a row: name, what is sent, who ends it, and how."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Final

from demo.v1 import demo_pb2 as pb
from meshpact.testing.rawanswer import Answer
from meshpact.testing.rawwire import grpc_message
from wire.target import HELLO, PATIENCE, SERVICE, STRANGER, Attack, Target, ended

GUARD, CORE, GRPCIO = "the guard", "C-core", "grpcio"
ECHO: Final = f"{SERVICE}/Echo"
_HOLD: Final = grpc_message(pb.HoldRequest(milliseconds=-1).SerializeToString())
_MIB: Final = 1 << 20
_CUT: Final = ("DEADLINE_EXCEEDED DEADLINE_MAXIMUM",)
_SECOND: Final = (("grpc-timeout", "1S"),)


def attacks(*, strict: bool, kind: str) -> Iterator[Attack]:
    """Every attack with what a server of the kind must make of it."""
    yield from _paths(kind)
    yield from _metadata()
    yield from _sizes()
    yield from _timeouts()
    yield from _encodings()
    yield from _bodies(strict=strict)
    yield from _cardinality(strict=strict, kind=kind)
    yield from _identities()
    yield from _framing()


def _call(**arguments: object) -> Callable[[Target], Answer]:
    def perform(target: Target) -> Answer:
        return target.call(**arguments)  # type: ignore[arg-type]

    return perform


def _paths(kind: str) -> Iterator[Attack]:
    unknown = ("UNIMPLEMENTED METHOD_UNKNOWN",)
    for path in (
        ECHO[1:],
        f"/{ECHO}",
        f"{ECHO}/",
        f"{SERVICE}//Echo",
        f"{SERVICE}/../DemoService/Echo",
        f"{SERVICE}/./Echo",
        f"{ECHO}?x=1",
        f"{ECHO}#x",
        f"{SERVICE}/%45cho",
        f"{SERVICE}/echo",
        f"{ECHO} ",
        f"{ECHO}\0",
        f"{SERVICE}/Nothing",
        SERVICE,
        "/",
        "*",
        "https://server.test.example" + ECHO,
        "/\N{GREEK SMALL LETTER PI}",
        "/" + "a" * 4096,
    ):
        shown = path if len(path) < 80 else f"{path[:8]}... of {len(path)} bytes"
        yield Attack(f"path {shown!a}", _call(path=path), GUARD, unknown)
    # grpc.server drops a call without a path before any handler or interceptor is asked.
    yield Attack(
        "an empty path",
        _call(path=""),
        GUARD if kind == "aio" else GRPCIO,
        unknown if kind == "aio" else ("CANCELLED",),
    )
    get = ((":method", "GET"), (":scheme", "https"), (":path", ECHO), (":authority", "x"))
    yield Attack("the method GET", _call(pseudo=get), CORE, ("reset",))
    without = ((":method", "POST"), (":scheme", "https"), (":authority", "x"))
    yield Attack("no path", _call(pseudo=without), CORE, ("reset",))


def _metadata() -> Iterator[Attack]:
    refused = ("INVALID_ARGUMENT METADATA_INVALID",)
    twice = (("authorization", "Bearer a"), ("authorization", "Bearer b"))
    yield Attack("authorization twice", _call(metadata=twice), GUARD, refused)
    yield Attack(
        "authorization twice where a token is looked at",
        _call(path=f"{SERVICE}/WhoAmI", data=grpc_message(b""), metadata=twice),
        GUARD,
        refused,
    )
    for name, value in (
        ("CR and LF", b"a\r\nx-role: admin"),
        ("LF", b"a\nb"),
        ("NUL", b"a\0b"),
        ("a control character", b"\x01"),
        ("TAB", b"a\tb"),
        ("DEL", b"a\x7f"),
        ("UTF-8", "\N{LATIN SMALL LETTER E WITH ACUTE}".encode()),
        ("bytes that are no UTF-8", b"\xff\xfe"),
    ):
        yield Attack(
            f"metadata value with {name}", _call(metadata=(("x-a", value),)), GUARD, refused
        )
    for name, key in (
        ("upper case", b"X-Upper"),
        ("a space", b"x y"),
        ("LF", b"x\ny"),
        ("nothing", b""),
        ("UTF-8", "x-\N{LATIN SMALL LETTER E WITH ACUTE}".encode()),
    ):
        yield Attack(
            f"metadata key with {name}", _call(metadata=((key, "v"),)), CORE, ("INTERNAL",)
        )
    yield Attack(
        "a -bin value that is no base64", _call(metadata=(("x-bin", "!!!"),)), CORE, ("INTERNAL",)
    )


def _sizes() -> Iterator[Attack]:
    refused = ("RESOURCE_EXHAUSTED METADATA_TOO_LARGE",)
    many = tuple((f"x-{number}", "a") for number in range(5000))
    yield Attack("metadata of 20 KB", _call(metadata=(("x", "a" * 20_000),)), GUARD, refused)
    yield Attack(
        "metadata of 20 KB before the settings",
        _call(metadata=(("x", "a" * 20_000),), early=True),
        GUARD,
        refused,
    )
    yield Attack(
        "metadata of 1 MB", _call(metadata=(("x", "a" * _MIB),)), CORE, ("RESOURCE_EXHAUSTED",)
    )
    yield Attack(
        "metadata of 1 MB before the settings",
        _call(metadata=(("x", "a" * _MIB),), early=True),
        f"{GUARD} or {CORE}",
        (*refused, "RESOURCE_EXHAUSTED"),
    )
    yield Attack(
        "5,000 entries before the settings",
        _call(metadata=many, early=True),
        f"{GUARD} or {CORE}",
        (*refused, "RESOURCE_EXHAUSTED"),
    )


def _timeouts() -> Iterator[Attack]:
    yield Attack(
        "grpc-timeout of 11 digits",
        _call(path=f"{SERVICE}/Hold", data=_HOLD, metadata=(("grpc-timeout", "99999999999S"),)),
        GUARD,
        _CUT,
        least=1.9,
    )
    yield Attack(
        "grpc-timeout of 9, 19 and 30 digits on silent streams",
        _long_timeouts,
        GUARD,
        _CUT,
        least=1.9,
    )
    for value in ("abc", "-1S", "1", "S", "", "1X", "1.5S", "0x1S"):
        yield Attack(
            f"grpc-timeout {value!r}",
            _call(metadata=(("grpc-timeout", value),)),
            CORE,
            ("INTERNAL",),
        )
    yield Attack(
        "grpc-timeout '0S'",
        _call(metadata=(("grpc-timeout", "0S"),)),
        f"{CORE} or {GUARD}",
        ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED BUDGET_SPENT"),
    )


def _long_timeouts(target: Target) -> Answer:
    with target.connect() as wire:
        streams = [
            wire.open(f"{SERVICE}/Chat", (("grpc-timeout", "9" * digits + "S"),))
            for digits in (9, 19, 30)
        ]
        answers = [wire.answer(stream, PATIENCE) for stream in streams]
    return next((answer for answer in answers if ended(answer) not in _CUT), answers[0])


@cache
def _bomb() -> bytes:
    return grpc_message(gzip.compress(b"\0" * (64 * _MIB)), compressed=True)


def _encodings() -> Iterator[Attack]:
    packed = (("grpc-encoding", "gzip"),)
    yield Attack(
        "a gzip bomb of 64 MiB",
        lambda target: target.call(data=_bomb(), metadata=packed),
        CORE,
        ("RESOURCE_EXHAUSTED",),
    )
    yield Attack(
        "a body that is no gzip",
        _call(data=grpc_message(b"abc", compressed=True), metadata=packed),
        CORE,
        ("INTERNAL",),
    )
    yield Attack(
        "an unknown encoding",
        _call(data=grpc_message(b"a", compressed=True), metadata=(("grpc-encoding", "rar"),)),
        CORE,
        ("INTERNAL",),
    )
    yield Attack(
        "compressed without an encoding",
        _call(data=grpc_message(b"a", compressed=True)),
        CORE,
        ("INTERNAL",),
    )


def _bodies(*, strict: bool) -> Iterator[Attack]:
    malformed = ("INTERNAL MALFORMED_REQUEST",)
    too_large = ("RESOURCE_EXHAUSTED MESSAGE_TOO_LARGE",)
    for name, body in (
        ("garbage", b"\xff\xff\xff\xff"),
        ("text that is no UTF-8", b"\x0a\x02\xff\xfe"),
        ("a field that ends early", b"\x0a\x7fabc"),
        ("an end-group tag alone", b"\x0c"),
        ("groups nested 10,000 deep", b"\x1b" * 10_000),
    ):
        for method in ("Echo", "Count", "Sum", "Chat"):
            if name.startswith("text") and method in ("Count", "Sum"):
                continue
            yield Attack(
                f"a body of {name} to {method}",
                _call(path=f"{SERVICE}/{method}", data=grpc_message(body)),
                GUARD,
                malformed,
            )
    whisper = pb.WhisperRequest(data=b"." * 300).SerializeToString()
    yield Attack(
        "a message over the contract's size",
        _call(path=f"{SERVICE}/Whisper", data=grpc_message(whisper)),
        GUARD,
        too_large,
    )
    yield Attack(
        "a message just over 4 MiB",
        lambda target: target.call(data=grpc_message(b"\0" * (4 * _MIB + 1))),
        GUARD,
        too_large,
    )
    yield Attack(
        "a message of 6 MiB",
        lambda target: target.call(data=grpc_message(b"\0" * (6 * _MIB))),
        CORE,
        ("RESOURCE_EXHAUSTED",),
    )
    yield Attack(
        "a length of 4 GiB before a short body",
        _call(data=grpc_message(b"a", length=2**32 - 1)),
        CORE,
        ("RESOURCE_EXHAUSTED",),
    )
    # grpcio hands such a message on as an empty one, which Echo's rules refuse, or as none.
    yield Attack(
        "a message with unknown flags",
        _call(data=b"\2\0\0\0\1a", metadata=_SECOND),
        GUARD,
        (
            "INVALID_ARGUMENT INVALID_REQUEST",
            *(["UNIMPLEMENTED CARDINALITY"] if strict else ["DEADLINE_EXCEEDED", "UNIMPLEMENTED"]),
        ),
    )


def _cardinality(*, strict: bool, kind: str) -> Iterator[Attack]:
    refused = ("UNIMPLEMENTED CARDINALITY",)
    for method in ("Echo", "Count"):
        path = f"{SERVICE}/{method}"
        one = HELLO if method == "Echo" else grpc_message(b"\x08\x02")
        for name, data in (("no message", b""), ("half a message", one[:-1])):
            if strict:
                yield Attack(f"{name} to {method}", _call(path=path, data=data), GUARD, refused)
            elif kind == "sync":
                yield Attack(
                    f"{name} to {method}",
                    _call(path=path, data=data, metadata=_SECOND),
                    GRPCIO,
                    ("UNIMPLEMENTED",),
                )
            else:
                yield Attack(
                    f"{name} to {method}",
                    _call(path=path, data=data, metadata=_SECOND),
                    CORE,
                    ("DEADLINE_EXCEEDED",),
                    least=0.9,
                )
        yield Attack(
            f"two messages to {method}",
            _call(path=path, data=one * 2),
            GUARD if strict else "nobody: the second is not read",
            refused if strict else ("OK",),
        )
    yield Attack(
        "half a message, then silence",
        _half_then_silence,
        CORE,
        ("DEADLINE_EXCEEDED",),
        least=0.9,
    )


def _half_then_silence(target: Target) -> Answer:
    with target.connect() as wire:
        stream = wire.open(ECHO, _SECOND)
        wire.send(stream, HELLO[:-1])
        return wire.answer(stream, PATIENCE)


def _identities() -> Iterator[Attack]:
    forged = (
        ("x-forwarded-client-cert", "URI=spiffe://test.example/caller;By=spiffe://test.example/x"),
        ("x-spiffe-id", "spiffe://test.example/caller"),
        ("x-ssl-client-verify", "SUCCESS"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-user", "admin"),
        ("x-meshpact-caller", "spiffe://test.example/caller"),
        ("x-meshpact-roles", "demo.caller"),
    )
    yield Attack(
        "forged identity headers of a caller without the role",
        _call(metadata=forged, service=STRANGER),
        GUARD,
        ("PERMISSION_DENIED ROLE_MISSING",),
    )
    yield Attack(
        "a token of the attacker's own making",
        _call(
            path=f"{SERVICE}/WhoAmI",
            data=grpc_message(b""),
            metadata=(("authorization", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0."),),
        ),
        GUARD,
        ("UNAUTHENTICATED TOKEN_INVALID",),
    )


def _framing() -> Iterator[Attack]:
    for when, data in (("at once", b""), ("in a message", HELLO[:3]), ("after it", HELLO)):
        yield Attack(
            f"RST_STREAM {when}",
            partial(_reset, data),
            "the attacker",
            ("timeout", "OK", "closed"),
        )
    yield Attack("HTTP/1.1 by ALPN", _http1, CORE, ("tls",))
    yield Attack(
        "HTTP/1.1 after the handshake", _plain_text, CORE, ("UNAVAILABLE", "closed", "goaway")
    )


def _reset(data: bytes, target: Target) -> Answer:
    with target.connect() as wire:
        streams = [wire.open(ECHO) for _ in range(50)]
        for stream in streams:
            wire.send(stream, data)
            wire.reset(stream)
        return wire.answer(streams[-1], 0.1)


def _http1(target: Target) -> Answer:
    with target.connect(protocols=("http/1.1",), timeout=10.0) as wire:
        raise AssertionError(f"a server for h2 alone spoke to a client of HTTP/1.1: {wire}")


def _plain_text(target: Target) -> Answer:
    with target.connect() as wire:
        stream = wire.open(ECHO)
        wire.send_raw(b"GET / HTTP/1.1\r\nHost: server\r\n\r\n" * 4)
        return wire.answer(stream, PATIENCE)
