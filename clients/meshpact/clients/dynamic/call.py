"""One call by a method's name, all four shapes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from meshpact.clients.dynamic.aip193 import error_object, exit_code
from meshpact.clients.dynamic.errors import UseError
from meshpact.clients.dynamic.messages import parsed, shown


class CallFailed(Exception):
    """The call ended with a status other than OK. `error` is the error object of AIP-193."""

    def __init__(self, error: dict[str, object], code: int) -> None:
        super().__init__(str(error))
        self.error = error
        self.exit_code = code

    @property
    def json(self) -> str:
        """`error` as text."""
        return json.dumps(self.error, indent=2, ensure_ascii=False)


def invoke(
    channel: grpc.Channel,
    method: MethodDescriptor,
    pool: DescriptorPool,
    data: Iterable[str],
    *,
    metadata: Sequence[tuple[str, str]] = (),
    seconds: float | None = None,
) -> Iterator[str]:
    """Call `method` with the JSON messages in `data`; yields each response as ProtoJSON.

    Raises CallFailed for a failed call, UseError for data that is not what the method takes.
    """
    path = f"/{method.containing_service.full_name}/{method.name}"
    requests = _Requests(parsed(data, method.input_type, pool))
    read = GetMessageClass(method.output_type).FromString
    sent = tuple(metadata)
    try:
        if method.server_streaming:
            if method.client_streaming:
                answers = channel.stream_stream(path, _serialized, read)(
                    requests, timeout=seconds, metadata=sent
                )
            else:
                answers = channel.unary_stream(path, _serialized, read)(
                    requests.only(method), timeout=seconds, metadata=sent
                )
            for each in answers:
                yield shown(each, pool, indent=None)
        else:
            if method.client_streaming:
                answer = channel.stream_unary(path, _serialized, read)(
                    requests, timeout=seconds, metadata=sent
                )
            else:
                answer = channel.unary_unary(path, _serialized, read)(
                    requests.only(method), timeout=seconds, metadata=sent
                )
            yield shown(answer, pool, indent=2)
    except grpc.RpcError as error:
        if requests.fault is not None:
            raise requests.fault from None
        raise failed(error) from None


def failed(error: grpc.RpcError) -> Exception:
    """What grpc raised, as the error object of AIP-193."""
    raised: object = error
    if not isinstance(raised, grpc.Call):
        return error
    code = raised.code()
    trailing = cast("Iterable[tuple[str, str | bytes]]", raised.trailing_metadata() or ())
    return CallFailed(error_object(code, raised.details() or "", trailing), exit_code(code))


class _Requests(Iterator[Message]):
    """The requests of a call; what was wrong with one is kept, because grpc swallows it."""

    def __init__(self, messages: Iterator[Message]) -> None:
        self._messages = messages
        self.fault: UseError | None = None

    def __next__(self) -> Message:
        try:
            return next(self._messages)
        except UseError as error:
            self.fault = error
            raise

    def only(self, method: MethodDescriptor) -> Message:
        """The one request of a method that takes one; none given means an empty one."""
        found = list(self._messages)
        if len(found) > 1:
            raise UseError(f"{method.full_name} takes one message, {len(found)} were given.")
        return found[0] if found else GetMessageClass(method.input_type)()


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()
