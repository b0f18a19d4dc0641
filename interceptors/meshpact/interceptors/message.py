"""Messages in and out: size, form and the contract's rules, compiled once a method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError, Message

from meshpact.interceptors import errors
from meshpact.interceptors.admission import Running
from meshpact.interceptors.call import current_call
from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.policy import DEFAULT_MESSAGE_BYTES, MethodPolicy
from meshpact.interceptors.spec import MethodSpec
from meshpact.interceptors.validation import compile_validation
from meshpact.interceptors.zerotext import compile_zero_check


def compile_accept(spec: MethodSpec[Any, Any], policy: MethodPolicy) -> Callable[[bytes], Message]:
    limit = policy.request_bytes
    parse: Callable[[bytes], Message] = spec.request.FromString
    validate = compile_validation(spec.request.DESCRIPTOR)
    # Of a stream the handler judges each message: an import tells the row, and takes the others.
    zero = None if spec.request_streaming else compile_zero_check(spec.request.DESCRIPTOR)

    def accept(body: bytes) -> Message:
        if len(body) > limit:
            raise _fault(_too_large(len(body), limit))
        try:
            request = parse(body)
        except DecodeError:
            raise _fault(_malformed()) from None
        if validate is not None:
            refusal = validate(request)
            if refusal is not None:
                raise _fault(refusal)
        if zero is not None and 0 in body:
            refusal = zero(request)
            if refusal is not None:
                raise _fault(refusal)
        return request

    return accept


def compile_serialize(
    spec: MethodSpec[Any, Any], policy: MethodPolicy, emit: Callable[[Any], bytes]
) -> Callable[[Any], bytes]:
    """What makes bytes of the messages of a stream: `emit`, or for the default size protobuf's own
    serializer, which takes no other message; the transport keeps to that size then."""
    if policy.response_bytes != DEFAULT_MESSAGE_BYTES:
        return emit
    serialize: Callable[[Any], bytes] = spec.response.SerializeToString
    return serialize


def compile_emit(spec: MethodSpec[Any, Any], policy: MethodPolicy) -> Callable[[Any], bytes]:
    limit = policy.response_bytes
    kind = spec.response

    def emit(response: Any) -> bytes:
        if response.__class__ is not kind:
            raise TypeError(
                f"the handler of {spec.path} gave a {type(response).__name__}, not a "
                f"{kind.DESCRIPTOR.full_name}"
            )
        data: bytes = response.SerializeToString()
        if len(data) > limit:
            raise ValueError(
                f"the handler of {spec.path} gave a message of {len(data)} bytes, over the "
                f"limit of {limit}"
            )
        return data

    return emit


def cardinality(found: str) -> StatusError:
    """The refusal of a unary request that is not one message (strict servers), noted as a fault."""
    return _fault(_not_one(found))


def _not_one(found: str) -> StatusError:
    return StatusError(
        errors.CARDINALITY.code,
        f"A unary call takes one request message; {found} came",
        reason=errors.CARDINALITY.name,
        domain=errors.DOMAIN,
    )


def _fault(error: StatusError) -> StatusError:
    """Notes what is wrong with a message: the current call ends with it, whatever its handler makes
    of the exception."""
    call = current_call.get()
    if isinstance(call, Running):
        call.fault = error
    return error


def _too_large(size: int, limit: int) -> StatusError:
    return StatusError(
        errors.MESSAGE_TOO_LARGE.code,
        f"A request message of {size} bytes is over the limit of {limit}",
        reason=errors.MESSAGE_TOO_LARGE.name,
        domain=errors.DOMAIN,
        metadata={"limit_bytes": str(limit)},
    )


def _malformed() -> StatusError:
    return StatusError(
        errors.MALFORMED_REQUEST.code,
        "The request message is not what the contract says",
        reason=errors.MALFORMED_REQUEST.name,
        domain=errors.DOMAIN,
    )
