"""Keeps what rows hold out of the errors of Postgres: those are logged, and that is people's.

Postgres tells the failing row in DETAIL, and values that do not fit in the message itself; asyncpg
says the argument that it could not encode. What remains says which rule of which table was broken.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

DATA_EXCEPTION: Final = "22"
"""How the states of errors begin whose message quotes a value."""
_TELLING: Final = ("detail", "context", "hint", "internal_query", "query")


def keep_values_out(engine: AsyncEngine) -> None:
    """From now on no error of this engine says what a row or an argument holds."""
    event.listen(engine.sync_engine, "handle_error", _redact)


def _redact(context: ExceptionContext) -> None:
    adapted = context.original_exception
    told: Any = adapted.__cause__ or adapted
    state = str(getattr(told, "sqlstate", None) or "")
    if not state:
        return
    for name in _TELLING:
        if getattr(told, name, None):
            setattr(told, name, None)
    if state.startswith(DATA_EXCEPTION):
        told.args = (f"a value does not fit (SQLSTATE {state})",)
    if adapted is not told:
        adapted.args = (f"{type(told)}: {told}",)
    shown = context.sqlalchemy_exception
    if shown is not None:
        kind = type(adapted)
        shown.args = (f"({kind.__module__}.{kind.__name__}) {adapted}",)
