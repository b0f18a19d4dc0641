"""Page tokens: good for their list, their caller and their arguments, and for nothing else."""

from __future__ import annotations

import importlib
from bisect import insort
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from acme.retail.inventory.v1 import inventory_pb2 as pb
from meshpact.interceptors.errors import StatusError
from meshpact.servers.paging import Key, PageTokens, page_size
from toolkit.calls import call, faults

ListOperationsRequest: Any = importlib.import_module(
    "google.longrunning.operations_pb2"
).ListOperationsRequest
SECRET = b"s" * 32
KEYS: list[Key] = [("85123A",), ("2011-11-01T00:00:00+00:00", "a-b"), (17, "ü"), ("",)]


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def refused(tokens: PageTokens, request: Message, **caller: str) -> list[tuple[str, str]]:
    with pytest.raises(StatusError) as caught:
        tokens.start(request, call(**caller))
    return faults(caught.value)


@pytest.mark.parametrize("key", KEYS)
def test_a_token_leads_to_the_key_it_was_made_for(key: Key) -> None:
    tokens = PageTokens(SECRET)
    request = pb.ListStockRequest(page_size=5)
    token = tokens.next(request, call(), key)
    assert tokens.start(pb.ListStockRequest(page_size=9, page_token=token), call()) == key


def test_a_request_without_a_token_begins_at_the_first_page() -> None:
    assert PageTokens(SECRET).start(pb.ListStockRequest(), call()) is None


@pytest.mark.parametrize("token", ["x", "é", "AAAA", "====", "WzFd.AAAA", "a" * 5000, ".", "\x01"])
def test_a_text_that_is_no_token_is_refused(token: str) -> None:
    request = pb.ListStockRequest(page_token=token)
    assert refused(PageTokens(SECRET), request) == [("page_token", "PAGE_TOKEN_INVALID")]


@pytest.mark.parametrize(
    "other",
    [
        {"workload": "spiffe://shop.example/other"},
        {"subject": "anna"},
        {"method": "ExportLedger"},
        {"method": "ExportLedger", "subject": "anna"},
    ],
)
def test_a_token_of_another_caller_or_method_is_refused(other: dict[str, str]) -> None:
    tokens = PageTokens(SECRET)
    token = tokens.next(pb.ListStockRequest(), call(), ("A",))
    request = pb.ListStockRequest(page_token=token)
    assert refused(tokens, request, **other) == [("page_token", "PAGE_TOKEN_INVALID")]


@given(at=st.integers(0, 10_000), to=st.sampled_from("Aa0-_."))
def test_a_token_with_any_character_changed_is_refused(at: int, to: str) -> None:
    tokens = PageTokens(SECRET)
    token = tokens.next(pb.ListStockRequest(), call(), ("85123A", 4))
    at %= len(token) - 1  # bits of the last character may be padding
    if token[at] != to:
        request = pb.ListStockRequest(page_token=token[:at] + to + token[at + 1 :])
        assert refused(tokens, request) == [("page_token", "PAGE_TOKEN_INVALID")]


def test_a_token_expires() -> None:
    clock = Clock()
    tokens = PageTokens(SECRET, expires_after=60.0, clock=clock)
    request = pb.ListStockRequest(page_token=tokens.next(pb.ListStockRequest(), call(), ("A",)))
    clock.now += 59.0
    assert tokens.start(request, call()) == ("A",)
    clock.now += 1.0
    assert refused(tokens, request) == [("page_token", "PAGE_TOKEN_EXPIRED")]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"filter": "done = true"}, ["filter"]),
        ({"filter": ""}, ["filter"]),
        ({"name": "other"}, ["name"]),
        ({"name": "", "filter": "x"}, ["filter", "name"]),
        ({"return_partial_success": True}, ["return_partial_success"]),
    ],
)
def test_the_argument_that_changed_since_is_named(
    changed: dict[str, Any], named: list[str]
) -> None:
    tokens = PageTokens(SECRET)
    arguments = {"name": "jobs", "filter": "done = false", "page_size": 5}
    token = tokens.next(ListOperationsRequest(**arguments), call(), ("A",))
    request = ListOperationsRequest(**(arguments | changed), page_token=token)
    assert refused(tokens, request) == [(name, "PAGE_ARGUMENT_CHANGED") for name in named]


def test_a_token_fits_the_field_it_comes_in() -> None:
    request = ListOperationsRequest(name="n" * 500, filter="f" * 500, page_size=5)
    token = PageTokens(SECRET).next(request, call(subject="anna"), ("k" * 200, 17))
    assert len(token) < 1000
    assert "kkkk" not in token


def test_keys_are_renewed_without_ending_the_tokens_of_the_old_one() -> None:
    new = b"n" * 32
    token = PageTokens(SECRET).next(pb.ListStockRequest(), call(), ("A",))
    request = pb.ListStockRequest(page_token=token)
    assert PageTokens([SECRET, new]).start(request, call()) == ("A",)
    assert refused(PageTokens(new), request) == [("page_token", "PAGE_TOKEN_INVALID")]


@pytest.mark.parametrize("secret", [b"", b"short", [], [SECRET, b"short"]])
def test_a_secret_that_could_be_guessed_is_refused(secret: bytes | list[bytes]) -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        PageTokens(secret)


@pytest.mark.parametrize(("asked", "given"), [(0, 100), (1, 1), (7, 7), (1000, 1000), (9999, 1000)])
def test_a_page_is_as_large_as_asked_within_the_contract(asked: int, given: int) -> None:
    assert page_size(asked, call().info.policy) == given


def test_a_negative_page_size_is_refused() -> None:
    with pytest.raises(StatusError) as caught:
        page_size(-1, call().info.policy)
    assert faults(caught.value) == [("page_size", "INT32_GTE")]


def test_a_method_without_pages_has_no_page_size() -> None:
    with pytest.raises(ValueError, match="no pagination"):
        page_size(5, call("GetStock").info.policy)


@given(
    start=st.sets(st.integers(0, 999), max_size=40),
    arriving=st.lists(st.sets(st.integers(0, 999), max_size=5), max_size=20),
    size=st.integers(1, 7),
)
def test_no_item_is_lost_or_repeated_while_others_arrive(
    start: set[int], arriving: list[set[int]], size: int
) -> None:
    tokens, items, seen = PageTokens(SECRET), sorted(start), list[int]()
    token = ""
    while True:
        request = pb.ListStockRequest(page_token=token)
        after = tokens.start(request, call())
        found = [each for each in items if after is None or each > int(after[0])][: size + 1]
        page, token = tokens.page(request, call(), found, size, lambda each: (each,))
        seen += page
        if not token:
            break
        for new in arriving.pop() if arriving else ():
            if new not in items:
                insort(items, new)
    assert len(page) <= size
    assert seen == sorted(set(seen))
    assert start <= set(seen) <= set(items)
