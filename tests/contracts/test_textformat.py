"""The scanner of options finds every field that protobuf's own parser finds, where it stands."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf import text_format
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from meshpact.contracts import textformat
from meshpact.policy.v1 import policy_pb2 as pb

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=9)
COUNTS = st.integers(0, 2**31 - 1)


@st.composite
def policies(draw: st.DrawFn) -> pb.Policy:
    """Policies with any mixture of parts; sound or not is no matter here."""
    policy = pb.Policy(errors=draw(st.lists(WORDS, max_size=3)))
    if draw(st.booleans()):
        policy.access.roles.extend(draw(st.lists(WORDS, max_size=3)))
        policy.access.end_user = pb.EndUser.Value(draw(st.sampled_from(pb.EndUser.keys())))
        policy.access.audience = draw(WORDS)
    if draw(st.booleans()):
        policy.access.unauthenticated.reason = draw(WORDS)
    if draw(st.booleans()):
        policy.deadline.default.seconds = draw(st.integers(-9, 9))
        policy.deadline.max.nanos = draw(COUNTS)
    if draw(st.booleans()):
        policy.rate.requests = draw(COUNTS)
        policy.rate.unlimited = draw(st.booleans())
        policy.rate.per.SetInParent()
    return policy


def fields(message: Message, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The names of every field that is set, an element of a list being a field of its own."""
    for field, value in message.ListFields():
        names = (*above, field.name)
        for item in value if field.is_repeated else [value]:
            yield names
            if isinstance(item, Message):
                yield from fields(item, names)


@given(
    policy=policies(),
    one_line=st.booleans(),
    short=st.booleans(),
    angles=st.booleans(),
    before=st.sampled_from(["", "/* = { roles: 1 } */ ", "// = {\n", "\t"]),
)
def test_every_field_is_found_where_it_stands(
    policy: pb.Policy, one_line: bool, short: bool, angles: bool, before: str
) -> None:
    text = text_format.MessageToString(
        policy,
        as_one_line=one_line,
        use_short_repeated_primitives=short,
        pointy_brackets=angles,
        as_utf8=True,
    )
    statement = f"{before}option (meshpact.policy.v1.method) = {{{text}}};"
    found = textformat.scan(statement)
    assert [entry.names for entry in found] == list(fields(policy))
    for entry in found:
        assert statement.startswith((entry.names[-1], '"', "'"), entry.offset)


@given(st.text('{}<>[]:,;="/*\\ \n ab1', max_size=40))
def test_text_of_any_kind_is_read_to_its_end(text: str) -> None:
    for entry in textformat.scan(text):
        assert 0 <= entry.offset <= len(text)
