"""A text with a zero character is refused with its field, before any database sees it."""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import grpc
import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import BytesValue, StringValue
from hypothesis import given
from hypothesis import strategies as st

import demoservice
from demo.v1 import demo_pb2 as pb
from guard.scripted import SERVICE
from guard.situations import KINDS, ROLE
from meshpact.interceptors.zerotext import compile_zero_check
from meshpact.testing.hosting import Kind, Workbench
from meshpact.testing.rawwire import grpc_message

NUL = "a\0b"


def found(message: Message) -> list[str]:
    """The fields that are told."""
    check = compile_zero_check(cast("Descriptor", message.DESCRIPTOR))
    refusal = None if check is None else check(message)
    assert refusal is None or 0 in message.SerializeToString()
    return [] if refusal is None else [fault.field for fault in refusal.fields]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_refused_in_a_request_and_left_to_the_handler_in_a_stream(kind: Kind) -> None:
    def servicers() -> list[Any]:
        return [demoservice.Demo() if kind == "aio" else demoservice.DemoSync()]

    with Workbench() as bench:
        bench.roles.set({bench.id_of("caller"): {ROLE}})
        with bench.serving(kind, servicers) as port, bench.connect(port, "caller") as wire:
            echo = grpc_message(pb.EchoRequest(text=NUL).SerializeToString())
            refused = wire.call(f"{SERVICE}/Echo", echo)
            chat = grpc_message(pb.ChatRequest(text=NUL).SerializeToString())
            said = wire.call(f"{SERVICE}/Chat", chat)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert refused.message == "Invalid request: field 'text' must not contain a zero character"
    assert said.code is grpc.StatusCode.OK
    assert pb.ChatResponse.FromString(said.messages[0]).text == NUL


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (StringValue(value=NUL), ["value"]),
        (StringValue(value="plain"), []),
        (BytesValue(value=b"\0"), []),
        (Timestamp(seconds=1 << 21), []),
        (
            DescriptorProto(
                name="\0",
                field=[
                    FieldDescriptorProto(name="good"),
                    FieldDescriptorProto(name=NUL, json_name=NUL),
                ],
                reserved_name=["good", NUL],
            ),
            ["name", "field[1].name", "field[1].json_name", "reserved_name[1]"],
        ),
        (
            FileDescriptorProto(
                message_type=[DescriptorProto(nested_type=[DescriptorProto(name=NUL)])]
            ),
            ["message_type[0].nested_type[0].name"],
        ),
    ],
)
def test_each_field_is_named_by_its_path(message: Message, fields: list[str]) -> None:
    assert found(message) == fields


def test_maps_are_looked_into_by_key_and_value() -> None:
    made = ParseDict({"plain": "good", "bad": NUL, "deep": {"list": ["x", NUL]}}, Struct())
    assert sorted(found(made)) == [
        'fields["bad"].string_value',
        'fields["deep"].struct_value.fields["list"].list_value.values[1].string_value',
    ]
    assert found(ParseDict({NUL: "good"}, Struct())) == ["fields"]


def test_no_more_faults_are_told_than_trailing_metadata_can_hold() -> None:
    assert len(found(DescriptorProto(reserved_name=[NUL] * 100))) == 16


def test_a_message_that_holds_no_text_is_not_looked_at() -> None:
    assert compile_zero_check(Timestamp.DESCRIPTOR) is None
    assert compile_zero_check(BytesValue.DESCRIPTOR) is None


Json: TypeAlias = "bool | float | str | list[Json] | dict[str, Json] | None"
JSON: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text("a\0"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("b\0"), inner, max_size=3),
    max_leaves=8,
)


def holds_zero(value: Json) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, list):
        return any(map(holds_zero, value))
    if isinstance(value, dict):
        return any(holds_zero(key) or holds_zero(each) for key, each in value.items())
    return False


@given(st.dictionaries(st.text("c\0"), JSON, max_size=3))
def test_none_is_overlooked_and_none_made_up(value: dict[str, Json]) -> None:
    assert bool(found(ParseDict(value, Struct()))) == holds_zero(value)
