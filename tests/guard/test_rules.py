"""What the guard accepts without protovalidate is what protovalidate accepts, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, cast

import protovalidate
import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from demo.v1 import rules_pb2 as pb
from meshpact.interceptors.rules import compile_rules
from meshpact.interceptors.validation import compile_validation

small = st.integers(-3, 4)
natural = st.integers(0, 4)
text = st.one_of(
    st.sampled_from(
        [
            "",
            "a",
            "é1",
            "ab",
            "abc",
            "ab\n",
            "AB-0f",
            "AB-0f\n",
            "AB-",
            'a"b\\é',
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "0F8FAD5B-d9cb-469f-a165-70867728950E",
            "0f8fad5bd9cb469fa16570867728950e",
            "0f8fad5b-d9cb-469f-a165-70867728950e\n",
            "👍",
            "abcd",
            "abcde",
        ]
    ),
    st.text(max_size=5),
)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Fields of a message, each there or not."""
    return st.fixed_dictionaries({}, optional=fields)


SOUND_TEXTS = {
    "short": "abc",
    "exact": "abc",
    "fixed": 'a"b\\é',
    "id": "0f8fad5b-d9cb-469f-a165-70867728950e",
    "code": "AB-0f",
    "name": "x",
    "must": "ab",
}
SOUND_NUMBERS = {"one": 2, "fixed": 1, "required": 3}


def descriptor(message: Message | type[Message]) -> Descriptor:
    """The type of a message, as the pool has it."""
    found: Any = message.DESCRIPTOR
    return cast("Descriptor", found)


def made(kind: type[Message], sound: Mapping[str, Any], **changed: Any) -> Message:
    """A message with some fields other than in one that holds all its rules."""
    make: Callable[..., Message] = kind
    return make(**{**sound, **changed})


texts = some(
    short=text, exact=text, fixed=text, id=text, code=text, name=text, maybe=text, set=text,
    must=text, free=text, **{"class": text},
).map(lambda changed: made(pb.Texts, SOUND_TEXTS, **changed))  # fmt: skip
numbers = some(
    more=small, within=small, natural=natural, one=small, none=natural, fixed=small,
    required=natural,
).map(lambda changed: made(pb.Numbers, SOUND_NUMBERS, **changed))  # fmt: skip
lists = st.builds(
    pb.Lists,
    numbers=st.lists(small, max_size=4),
    each=st.lists(numbers, max_size=3),
    texts=st.one_of(st.none(), texts),
    numbers_too=st.one_of(st.none(), numbers),
    plain=st.dictionaries(text, small, max_size=2),
)


def sound(message: Message) -> bool:
    """What protovalidate says."""
    return not protovalidate.collect_violations(message)


@pytest.mark.parametrize("kind", [pb.Texts, pb.Numbers, pb.Lists], ids=lambda kind: kind.__name__)
def test_common_rules_are_checked_without_protovalidate(kind: type[Message]) -> None:
    assert compile_rules(descriptor(kind)) is not None


@pytest.mark.parametrize(
    "kind",
    [pb.Exclusive, pb.Cel, pb.Tree, pb.Choice, pb.Mapped, pb.Odd],
    ids=lambda kind: kind.__name__,
)
def test_other_rules_are_left_to_protovalidate(kind: type[Message]) -> None:
    assert compile_rules(descriptor(kind)) is None
    assert compile_validation(descriptor(kind)) is not None


@given(message=st.one_of(texts, numbers, lists))
def test_both_accept_the_same_messages(message: Message) -> None:
    holds = compile_rules(descriptor(message))
    assert holds is not None
    assert bool(holds(message)) == sound(message)


@given(message=st.one_of(texts, numbers, lists, st.builds(pb.Exclusive, outside=small)))
def test_a_refusal_names_what_protovalidate_names(message: Message) -> None:
    check = compile_validation(descriptor(message))
    assert check is not None
    refusal = check(message)
    assert (refusal is None) == sound(message)
    if refusal is not None:
        found = protovalidate.collect_violations(message)
        assert len(refusal.fields) == min(len(found), 16)


UNREAD = """
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from meshpact.interceptors.rules import compile_rules
from meshpact.interceptors.validation import compile_validation

file = FileDescriptorProto(name="a.proto", package="a", syntax="proto3")
field = file.message_type.add(name="A").field.add(
    name="a",
    number=1,
    label=FieldDescriptorProto.LABEL_OPTIONAL,
    type=FieldDescriptorProto.TYPE_STRING,
)
field.options.MergeFromString(b"\\xba\\x48\\x04r\\x02\\x10\\x03")  # string.min_len = 3
pool = DescriptorPool()
pool.AddSerializedFile(file.SerializeToString())
message = GetMessageClass(pool.FindMessageTypeByName("a.A"))
assert compile_rules(message.DESCRIPTOR) is None
check = compile_validation(message.DESCRIPTOR)
assert check is not None
assert check(message(a="ab")) is not None
assert check(message(a="abc")) is None
"""


def test_rules_that_no_module_of_this_process_reads_are_left_to_protovalidate() -> None:
    """Descriptors of a pool of one's own bring rules as bytes where buf.validate is not loaded."""
    done = subprocess.run(
        [sys.executable, "-c", UNREAD], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
