"""Logs: each line says which call it belongs to, and holds nothing that the contract marks."""

from __future__ import annotations

import io
import json
import logging
import math
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.v1.demo_mesh import DEMO_SERVICE, DemoServiceClient
from demo.v1.demo_pb2 import EchoRequest, EchoResponse
from demoservice import Demo
from meshpact.interceptors.call import Call, Caller, CallInfo, current_call
from meshpact.servers import Server
from meshpact.servers.logs import handler
from meshpact.servers.redaction import redacted
from tlsworld import ALICE, SERVER, channel, guard, identity, spiffe_id
from toolkit.messages import Book

SECRET = "s3cret"
log = logging.getLogger("toolkit.test")


@contextmanager
def written(style: str = "json") -> Generator[io.StringIO]:
    stream = io.StringIO()
    to = handler(stream, style=style)
    log.addHandler(to)
    log.setLevel(logging.INFO)
    try:
        yield stream
    finally:
        log.removeHandler(to)


@contextmanager
def in_call() -> Generator[None]:
    spec = DEMO_SERVICE.methods[0]
    place = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    info = CallInfo(spec.path, spec.policy, Caller("spiffe://demo.test/web"), math.inf, (), place)
    token = current_call.set(Call(info))
    try:
        yield
    finally:
        current_call.reset(token)


def line(stream: io.StringIO) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stream.getvalue())
    return found


def test_a_line_written_in_a_call_says_which() -> None:
    with written() as stream, in_call():
        log.info("taken: %d", 7)
    found = line(stream)
    del found["time"]
    assert found == {
        "level": "INFO",
        "logger": "toolkit.test",
        "message": "taken: 7",
        "method": DEMO_SERVICE.methods[0].path,
        "caller": "spiffe://demo.test/web",
        "trace_id": "0123456789abcdef0123456789abcdef",
        "span_id": "0123456789abcdef",
    }


def test_a_line_written_outside_of_calls_has_no_call() -> None:
    with written() as stream:
        log.warning("started")
    assert set(line(stream)) == {"time", "level", "logger", "message"}


def test_text_has_the_call_at_its_end() -> None:
    with written("text") as stream, in_call():
        log.info("two\nlines")
        log.info("plain")
    first, second = stream.getvalue().splitlines()
    assert "INFO toolkit.test: two\\nlines [method=/demo.v1.DemoService/" in first
    assert second.endswith("span_id=0123456789abcdef]")


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_traceback_is_kept(style: str) -> None:
    with written(style) as stream:
        try:
            raise ValueError("broken")
        except ValueError:
            log.exception("failed")
    assert "Traceback" in stream.getvalue()
    assert "ValueError: broken" in stream.getvalue()


def test_messages_among_the_arguments_are_redacted() -> None:
    book = Book(title="Emma", reader=SECRET)
    with written() as stream:
        log.info("got %s and %s", book, "more")
    assert line(stream)["message"] == ('got Book{"title": "Emma", "reader": "[redacted]"} and more')
    for words, arguments in ((book, ()), ("%(book)s", ({"book": book},))):
        with written() as stream:
            log.info(words, *arguments)
        assert "Emma" in line(stream)["message"]
        assert SECRET not in stream.getvalue()


def test_the_style_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHPACT_LOG_FORMAT", "yaml")
    with pytest.raises(ValueError, match="MESHPACT_LOG_FORMAT: found 'yaml'; allowed: text, json"):
        handler()
    monkeypatch.setenv("MESHPACT_LOG_FORMAT", "json")
    assert type(handler().formatter).__name__ == "JsonFormatter"


def test_a_process_told_of_a_style_there_is_not_logs_all_the_same() -> None:
    program = "import logging; from meshpact.servers import logs; logs.configure(); logging.info(7)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "MESHPACT_LOG_FORMAT": "yaml"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "found 'yaml'; allowed: text, json; taking text" in done.stderr
    assert done.stderr.endswith("INFO root: 7\n")


def test_fields_that_are_marked_are_redacted_wherever_they_stand() -> None:
    book = Book(
        title="Emma",
        reader=SECRET,
        shelf={"room": "A", "keeper": SECRET, "key": SECRET.encode()},
        past_shelves=[{"keeper": SECRET}, {"room": "B"}],
        notes={"x": {"keeper": SECRET}},
        vault={"room": SECRET},
        state=1,
        cover=SECRET.encode(),
        made_at={"seconds": 1},
    )
    book.extra.Pack(Book(reader=SECRET, title=SECRET))
    text = redacted(book)
    assert SECRET not in text
    assert json.loads(text.removeprefix("Book")) == {
        "title": "Emma",
        "reader": "[redacted]",
        "shelf": {"room": "A", "keeper": "[redacted]", "key": "[6 bytes]"},
        "past_shelves": [{"keeper": "[redacted]"}, {"room": "B"}],
        "notes": {"x": {"keeper": "[redacted]"}},
        "state": "STATE_LENT",
        "cover": "[6 bytes]",
        "made_at": "1970-01-01T00:00:01Z",
        "extra": {"type_url": "type.googleapis.com/toolkit.test.Book"},
        "vault": "[redacted]",
    }


def test_an_unknown_field_and_an_unknown_value_stay_out_or_are_numbers() -> None:
    raw = Book(state=9).SerializeToString() + b"\xfa\x07\x06s3cret"  # field 127
    assert redacted(Book.FromString(raw)) == 'Book{"state": 9}'


def test_a_time_that_no_calendar_has_is_written_as_it_came() -> None:
    assert redacted(Book(made_at={"seconds": 10**18})) == (
        'Book{"made_at": {"seconds": 1000000000000000000}}'
    )


def test_messages_within_arguments_are_redacted() -> None:
    book = Book(title="Emma", past_shelves=[{"room": "A", "keeper": SECRET}], reader=SECRET)
    book.notes["x"].keeper = SECRET
    for held in ([book], (book, 1), {"book": [book]}, book.past_shelves, book.notes):
        for words, arguments in (("%s", (held,)), ("%s %s", (held, 1)), (held, ())):
            with written() as stream:
                log.info(words, *arguments)
            assert SECRET not in stream.getvalue()
            assert "[redacted]" in line(stream)["message"]


@pytest.mark.parametrize("end", ["\n", "\r", "\x0b", "\x0c", "\x1b[2K", "\x85", "\u2028", "\u2029"])
@pytest.mark.parametrize("style", ["text", "json"])
def test_no_text_can_pass_for_a_line_of_its_own(style: str, end: str) -> None:
    forged = f"x{end}2026-01-01 00:00:00,000 INFO root: forged"
    with written(style) as stream, in_call():
        try:
            raise ValueError(forged)
        except ValueError:
            log.exception("got %s", forged)
    for each in stream.getvalue().splitlines():
        assert not each.startswith("2026-01-01")
    assert "\x1b" not in stream.getvalue()


def test_long_messages_are_cut() -> None:
    text = redacted(Book(title="x" * 10_000), longest=50)
    assert text.startswith('Book{"title": "xxx')
    assert text.endswith("... (10017 characters)")


@given(secret=st.text(st.characters(categories=["L"]), min_size=12), room=st.text(max_size=20))
def test_no_secret_gets_out(secret: str, room: str) -> None:
    book = Book(reader=secret, vault={"room": secret}, shelf={"room": room, "keeper": secret})
    assert secret not in redacted(book) or secret in room


class Speaking(Demo):
    """A service that logs what it gets."""

    async def echo(self, request: EchoRequest, call: Call, /) -> EchoResponse:
        log.info("got %s", request)
        return EchoResponse(text=request.text)


async def test_handlers_log_with_their_call() -> None:
    server = Server(identity=identity(SERVER), guard=guard(), address="127.0.0.1:0")
    server.add(Speaking())
    await server.start()
    try:
        with written() as stream:
            async with channel(server.address) as to:
                await DemoServiceClient(to).echo(EchoRequest(text="hello"))
            found = line(stream)
    finally:
        await server.stop()
    assert found["method"] == "/demo.v1.DemoService/Echo"
    assert found["caller"] == str(spiffe_id(ALICE))
    assert found["message"].startswith("got EchoRequest{")
