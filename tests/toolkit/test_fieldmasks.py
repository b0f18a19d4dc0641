"""Field masks: what is named is read or changed, nothing else, and a wrong name is told."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st

from meshpact.interceptors.errors import StatusError
from meshpact.servers.fieldmasks import ReadMask, UpdateMask
from toolkit.calls import faults
from toolkit.messages import Book


def book(**fields: Any) -> Any:
    whole = {
        "name": "books/1",
        "title": "Emma",
        "isbn": "123",
        "shelf": {"room": "A", "keeper": "anna"},
        "past_shelves": [{"room": "B"}],
        "notes": {"x": {"room": "C"}},
        "tags": ["old"],
        "rating": 4,
    }
    return Book(**(whole | fields))


def mask(*paths: str) -> FieldMask:
    return FieldMask(paths=paths)


def read(*paths: str, default: tuple[str, ...] = ()) -> Any:
    return ReadMask(Book, mask(*paths), default=default).apply(book())


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (("title",), {"title": "Emma"}),
        (("shelf.room",), {"shelf": {"room": "A"}}),
        (("shelf", "shelf.room"), {"shelf": {"room": "A", "keeper": "anna"}}),
        (("tags", "past_shelves"), {"tags": ["old"], "past_shelves": [{"room": "B"}]}),
        (("notes",), {"notes": {"x": {"room": "C"}}}),
        (("rating", "title", "title"), {"rating": 4, "title": "Emma"}),
        (("reader",), {}),
        (("vault.room",), {}),
    ],
)
def test_a_read_mask_gives_what_it_names(paths: tuple[str, ...], expected: Any) -> None:
    assert read(*paths) == Book(**expected)


@pytest.mark.parametrize("paths", [(), ("*",)])
def test_an_empty_read_mask_or_a_star_gives_all(paths: tuple[str, ...]) -> None:
    assert read(*paths) == book()


def test_an_empty_read_mask_may_have_a_default() -> None:
    assert read(default=("title",)) == Book(title="Emma")
    assert read("*", default=("title",)) == book()


def test_a_read_mask_says_what_must_be_fetched() -> None:
    some = ReadMask(Book, mask("shelf.room", "title"))
    assert [some.wants(name) for name in ("shelf", "title", "tags")] == [True, True, False]
    assert ReadMask(Book, mask()).wants("tags")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nothing", "Book has no field 'nothing'; it has "),
        ("shelf.nothing", "Shelf has no field 'nothing'; it has keeper, key, room"),
        ("pastShelves", "Book has no field 'pastShelves'"),
        ("title.x", "'title' has no fields of its own"),
        ("past_shelves.room", "'past_shelves' has no fields of its own"),
        ("notes.x", "'notes' has no fields of its own"),
        ("", "Book has no field ''"),
        ("shelf.", "Shelf has no field ''"),
        ("shelf..room", "Shelf has no field ''"),
        (".".join(["shelf"] * 101), "holds a path of more than 100 names"),
    ],
)
@pytest.mark.parametrize("field", ["read_mask", "update_mask"])
def test_a_path_that_is_not_there_is_told(path: str, words: str, field: str) -> None:
    with pytest.raises(StatusError) as caught:
        if field == "read_mask":
            ReadMask(Book, mask("title", path))
        else:
            UpdateMask(book(), mask("title", path))
    assert faults(caught.value) == [(field, "FIELD_MASK_INVALID")]
    assert words in caught.value.fields[0].description


def test_a_star_stands_alone() -> None:
    with pytest.raises(StatusError) as caught:
        ReadMask(Book, mask("*", "title"))
    assert faults(caught.value) == [("read_mask", "FIELD_MASK_INVALID")]


@pytest.mark.parametrize(
    ("wanted", "paths", "changes"),
    [
        ({"title": "Persuasion"}, ("title",), {"title": "Persuasion"}),
        ({"title": "Persuasion"}, (), {"title": "Persuasion"}),
        ({"title": "Persuasion", "tags": ["new"]}, ("title",), {"title": "Persuasion"}),
        ({}, ("title", "tags"), {"title": "", "tags": []}),
        ({}, (), {}),
        ({"shelf": {"room": "Z"}}, ("shelf",), {"shelf": {"room": "Z"}}),
        ({"shelf": {"room": "Z"}}, ("shelf.room",), {"shelf": {"room": "Z", "keeper": "anna"}}),
        ({}, ("shelf.room",), {"shelf": {"keeper": "anna"}}),
        ({}, ("shelf",), {"shelf": None}),
        ({}, ("rating",), {"rating": None}),
        ({"rating": 0}, ("rating",), {"rating": 0}),
        ({"notes": {"y": {"room": "Q"}}}, ("notes",), {"notes": {"y": {"room": "Q"}}}),
        ({"tags": ["a", "b"]}, ("tags",), {"tags": ["a", "b"]}),
    ],
)
def test_an_update_mask_changes_what_it_names(
    wanted: Any, paths: tuple[str, ...], changes: Any
) -> None:
    before = book()
    changed = UpdateMask(Book(**wanted), mask(*paths)).apply(before)
    assert changed == book(**changes)
    assert before == book()
    assert changed.HasField("rating") == (changes.get("rating", 4) is not None)


def test_a_star_replaces_all_but_what_the_server_sets() -> None:
    wanted = Book(name="books/2", title="Persuasion", isbn="123")
    changed = UpdateMask(wanted, mask("*")).apply(book())
    assert changed == Book(name="books/1", title="Persuasion", isbn="123")


def test_what_the_server_sets_is_left_as_it_is() -> None:
    wanted = Book(name="books/2", made_at={"seconds": 7})
    update = UpdateMask(wanted, mask("name", "made_at", "made_at.seconds"))
    assert update.paths == []
    assert update.apply(book()) == book()


@pytest.mark.parametrize("paths", [(), ("*",), ("binding",), ("binding.by",)])
def test_what_the_server_sets_is_left_as_it_is_within_what_is_named(paths: tuple[str, ...]) -> None:
    before = book(binding={"by": "anna", "checked_by": "bob", "serial": "7"})
    wanted = book(binding={"by": "eve", "checked_by": "eve", "serial": "7"})
    changed = UpdateMask(wanted, mask(*paths)).apply(before)
    assert changed == book(binding={"by": "eve", "checked_by": "bob", "serial": "7"})


def test_what_cannot_be_changed_is_kept_within_what_is_named() -> None:
    before = book(binding={"by": "anna", "checked_by": "bob", "serial": "7"})
    for wanted in (book(binding={"serial": "8"}), book(binding={"by": "eve"}), book()):
        with pytest.raises(StatusError) as caught:
            UpdateMask(wanted, mask("binding")).apply(before)
        assert faults(caught.value) == [("update_mask", "FIELD_IMMUTABLE")]
        assert "'binding.serial'" in caught.value.fields[0].description
    assert UpdateMask(before, mask("binding")).apply(before) == before


def test_what_the_server_sets_cannot_be_made_with_what_is_named() -> None:
    wanted = book(binding={"by": "eve", "checked_by": "eve", "serial": "7"})
    changed = UpdateMask(wanted, mask("binding")).apply(book())
    assert changed == book(binding={"by": "eve", "serial": "7"})


def test_what_cannot_be_changed_may_be_sent_as_it_is() -> None:
    assert UpdateMask(Book(isbn="123"), mask("isbn")).apply(book()) == book()
    with pytest.raises(StatusError) as caught:
        UpdateMask(Book(isbn="456"), mask("isbn")).apply(book())
    assert faults(caught.value) == [("update_mask", "FIELD_IMMUTABLE")]


paths_ = st.lists(
    st.sampled_from(["title", "shelf", "shelf.room", "shelf.keeper", "tags", "notes", "rating"])
)


@given(paths=paths_.filter(bool))
def test_reading_and_updating_by_one_mask_touch_the_same_fields(paths: list[str]) -> None:
    seen = ReadMask(Book, mask(*paths)).apply(book())
    assert UpdateMask(book(), mask(*paths)).apply(Book()) == seen
    emptied = UpdateMask(Book(), mask(*paths)).apply(book())
    assert not ReadMask(Book, mask(*[p for p in paths if "." not in p])).apply(emptied).tags or (
        "tags" not in paths
    )
    assert UpdateMask(book(), mask(*paths)).apply(emptied) == book()
