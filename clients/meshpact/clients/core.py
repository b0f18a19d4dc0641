"""What goes out with a call, whatever the transport: its timeout and its metadata.

Both follow the call whose handler runs here (its deadline, its trace), without being told to.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.trace import INVALID_SPAN, get_current_span

from meshpact.clients.errors import own, undecodable
from meshpact.clients.exchangewait import Exchanging, Sent
from meshpact.clients.forwarding import ALONE, Forwarding, forwarder
from meshpact.interceptors.call import MetadataPairs, MetadataValue, current_call
from meshpact.interceptors.errors import BUDGET_SPENT
from meshpact.interceptors.spec import MethodSpec, Req, Res

Prepare = Callable[[float | None, MetadataPairs, str], tuple[float, Sent]]
"""(timeout asked for, metadata, token) -> (timeout in seconds, metadata to send)."""


def preparation(spec: MethodSpec[Req, Res], forwarding: Forwarding = ALONE) -> Prepare:
    """How the calls of one method are made ready; computed once for a client.

    The timeout is the one asked for, else the contract's default, and never more than what the
    current call has left. With nothing left it raises CallError (BUDGET_SPENT). The end user of
    the current call is passed on where the method takes one and no token is given; Exchanging is
    raised when their token has to be exchanged first.
    """
    forward = forwarder(spec, forwarding)
    default = spec.policy.default_deadline
    path = spec.path

    def prepare(timeout: float | None, metadata: MetadataPairs, token: str) -> tuple[float, Sent]:
        if timeout is None:
            timeout = default
        call = current_call.get()
        sent: Sent
        if call is not None:
            left = call.time_remaining()
            if left < timeout:
                timeout = left
            info = call.info
            traceparent = info.traceparent
            if not traceparent:
                sent = ()
            elif info.tracestate:
                sent = (("traceparent", traceparent), ("tracestate", info.tracestate))
            else:
                sent = (("traceparent", traceparent),)
        else:
            sent = _span_metadata()
        if timeout <= 0:
            raise own(
                BUDGET_SPENT,
                "No time is left for this call: it was not sent.",
                path,
            )
        if token:
            if not (token.isascii() and token.isprintable()):
                raise ValueError("the token has characters that no access token has (RFC 6750)")
            sent = (*sent, ("authorization", f"Bearer {token}"))
        if metadata:
            sent = _joined(sent, metadata)
        return timeout, sent

    if forward is None:
        return prepare

    def prepare_for_user(
        timeout: float | None, metadata: MetadataPairs, token: str
    ) -> tuple[float, Sent]:
        call = current_call.get()
        if (
            not token
            and call is not None
            and call.token
            and all(key != "authorization" for key, _ in metadata)
        ):
            found = forward(call)
            if not isinstance(found, str):
                seconds, _ = prepare(timeout, metadata, "")
                raise Exchanging(
                    path, found, seconds, lambda left, other: prepare(left, metadata, other)
                )
            token = found
        return prepare(timeout, metadata, token)

    return prepare_for_user


def decoder(spec: MethodSpec[Req, Res]) -> Callable[[bytes], Res]:
    """How the responses of one method are read.

    Left to itself grpc logs a response that does not parse and hands out None; here it is a
    CallError (INTERNAL).
    """
    parse = spec.response.FromString

    def decode(raw: bytes) -> Res:
        try:
            return parse(raw)
        except DecodeError:
            pass
        raise undecodable(spec.path, str(spec.response.DESCRIPTOR.full_name))

    return decode


def _span_metadata() -> Sent:
    span = get_current_span()
    if span is INVALID_SPAN:
        return ()
    context = span.get_span_context()
    if not context.is_valid:
        return ()
    flags = int(context.trace_flags)
    header = f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"
    state = context.trace_state
    if state:
        return (("traceparent", header), ("tracestate", state.to_header()))
    return (("traceparent", header),)


def _joined(sent: Sent, metadata: MetadataPairs) -> Sent:
    for key, value in metadata:
        _check(key, value)
    named = {key for key, _ in metadata}
    if "authorization" in named and any(key == "authorization" for key, _ in sent):
        raise ValueError(
            "a token and metadata with the key 'authorization' were given: a call carries one "
            "of them; drop the metadata"
        )
    if "traceparent" in named:
        sent = tuple(pair for pair in sent if pair[0] not in ("traceparent", "tracestate"))
    return (*sent, *metadata)


_KEY: Final = re.compile(r"[0-9a-z_.-]+")


def _check(key: str, value: MetadataValue) -> None:
    """Refuses what grpc would refuse in words of its own, or not at all; never shows a value."""
    if not _KEY.fullmatch(key):
        raise ValueError(
            f"{key!r} is no metadata key: write lower-case letters, digits, '-', '_' and '.'"
        )
    if key.endswith("-bin"):
        if not isinstance(value, bytes):
            raise ValueError(f"the value of {key!r} is text: keys that end in -bin carry bytes")
    elif isinstance(value, bytes) or not (value.isascii() and value.isprintable()):
        raise ValueError(
            f"the value of {key!r} is not printable ASCII: send other data as bytes under a key "
            f"that ends in -bin, such as {key + '-bin'!r}"
        )
