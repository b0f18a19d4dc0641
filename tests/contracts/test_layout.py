"""Comments and messages of any content become Python that says the same."""

from __future__ import annotations

import ast

from hypothesis import given
from hypothesis import strategies as st

from meshpact.contracts import layout

TEXT = st.text(
    st.one_of(st.sampled_from('"\\\n {}\u202e\x00\r'), st.characters(codec="utf-8")), max_size=300
).filter(lambda text: bool(text.strip()))


def same(left: str, right: str) -> bool:
    """Equal but for the white space that filling lines anew changes."""
    return left.split() == right.split()


@given(TEXT)
def test_a_docstring_says_what_the_comment_says(text: str) -> None:
    lines = layout.docstring(text.strip(), 0)
    assert same(str(ast.literal_eval("\n".join(lines))), text)


@given(TEXT)
def test_a_string_literal_is_the_string(text: str) -> None:
    assert ast.literal_eval(layout.literal(text)) == text


@given(TEXT)
def test_a_long_string_in_pieces_is_the_string(text: str) -> None:
    (assignment,) = ast.parse("\n".join(layout.assign_string("MESSAGE", text, 0))).body
    assert isinstance(assignment, ast.Assign)
    assert ast.literal_eval(assignment.value) == text


@given(st.lists(st.text("abc", min_size=1, max_size=40), max_size=9), st.booleans())
def test_a_group_is_the_same_expression_however_it_is_broken(
    items: list[str], display: bool
) -> None:
    group = layout.Group("f(", items, ")")
    if display:
        group = layout.Group("f(", [layout.Group("x=(", items, ")", display=True)], ")")
    lines = layout.lay(group)
    assert ast.dump(ast.parse("\n".join(lines))) == ast.dump(ast.parse(group.flat()))
    assert all(len(line) <= layout.WIDTH for line in lines)
