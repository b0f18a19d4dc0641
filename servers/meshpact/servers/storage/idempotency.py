"""Requests that may come twice (AIP-155): the answer is kept with the request_id.

The answer is written in the transaction that does the work: either both are there or neither.
Failures are not kept: the same request may succeed later.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    LargeBinary,
    String,
    Table,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from meshpact.interceptors.call import Call
from meshpact.interceptors.errors import FieldViolation, invalid_request
from meshpact.servers.scopes import scope_of

M = TypeVar("M", bound=Message)

LONGEST: Final = 64
"""Characters of a request_id; a UUID has 36."""
KEEP: Final = 7 * 24 * 3600.0
PRUNE_EVERY: Final = 256
PRUNE: Final = 512
"""Answers taken away at once at most."""


def idempotency_columns() -> list[Column[Any]]:
    """The columns of a table of answers, for the model and for the migration that makes it."""
    return [
        Column("scope", String(64), primary_key=True),
        Column("request_id", String(LONGEST), primary_key=True),
        Column("content", String(64), nullable=False),
        Column("kind", String(255), nullable=False),
        Column("response", LargeBinary, nullable=False),
        Column("expires_at", BigInteger, nullable=False, index=True),
    ]


class Idempotency:
    """The answers in one table (of `idempotency_columns`), each kept for `keep` seconds.

    `reused` makes the contract's error for a request_id that comes again with other content.
    """

    def __init__(
        self,
        table: Table,
        reused: Callable[[str], Exception],
        *,
        keep: float = KEEP,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._reused = reused
        self._keep = keep
        self._clock = clock
        self._until_pruning = 0
        mine = (table.c.scope == bindparam("of")) & (table.c.request_id == bindparam("id"))
        self._find = select(table).where(mine)
        self._forget = delete(table).where(mine)
        self._claim = insert(table)
        self._keep_answer = update(table).where(mine)

    def remember(
        self, connection: Connection, call: Call, request: Message, make: Callable[[], M]
    ) -> M:
        """The answer kept for the request's `request_id`, else the one that `make` makes.

        Call it in the work of `Database.write`, and change the database in `make` only. IDs are
        the caller's own, for each method; a request without one is always new. Raises `reused`.
        """
        name = cast("str", getattr(request, "request_id")).lower()  # noqa: B009 - typed as Message
        if not name:
            return make()
        if len(name) > LONGEST:
            text = f"is at most {LONGEST} characters long; found {len(name)}"
            raise invalid_request([FieldViolation("request_id", text, "STRING_MAX_LEN")])
        if "\0" in name:
            text = "must not contain a zero character"
            raise invalid_request([FieldViolation("request_id", text, "STRING_CONTROL_CHARACTERS")])
        scope, content, now = scope_of(call), _content(request), int(self._clock())
        key = {"of": scope, "id": name}
        found = connection.execute(self._find, key).first()
        if found is not None and found.expires_at > now:
            if found.content != content:
                raise self._reused(name)
            return cast("M", _message(found.kind, found.response))
        if found is not None:
            connection.execute(self._forget, key)
        # Claimed before the work: of two at once on Postgres the second waits here, and then finds
        # the answer of the first, instead of working on what the first has changed.
        connection.execute(
            self._claim,
            {
                "scope": scope,
                "request_id": name,
                "content": content,
                "kind": "",
                "response": b"",
                "expires_at": int(now + self._keep),
            },
        )
        answer = make()
        connection.execute(
            self._keep_answer,
            {
                **key,
                "kind": answer.DESCRIPTOR.full_name,
                "response": answer.SerializeToString(deterministic=True),
            },
        )
        self._prune(connection, now)
        return answer

    def _prune(self, connection: Connection, now: int) -> None:
        if self._until_pruning:
            self._until_pruning -= 1
            return
        self._until_pruning = PRUNE_EVERY
        table = self._table
        old = select(table.c.scope, table.c.request_id).where(table.c.expires_at <= now)
        still_old = self._forget.where(table.c.expires_at <= now)  # not answered anew meanwhile
        for row in connection.execute(old.limit(PRUNE)).all():
            connection.execute(still_old, {"of": row.scope, "id": row.request_id})


def _content(request: Message) -> str:
    alone = type(request)()
    alone.MergeFrom(request)
    alone.ClearField("request_id")
    return hashlib.sha256(alone.SerializeToString(deterministic=True)).hexdigest()


def _message(kind: str, raw: bytes) -> Message:
    found = descriptor_pool.Default().FindMessageTypeByName(kind)
    return GetMessageClass(found).FromString(raw)
