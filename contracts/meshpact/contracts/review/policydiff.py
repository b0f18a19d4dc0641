"""What differs between two policies of a method, service defaults and overlay already merged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from meshpact.contracts.review.accessdiff import access_deltas
from meshpact.contracts.review.model import Delta, Impact
from meshpact.interceptors.policy import AuditLevel, MethodPolicy, Rate, RateKey

_AUDIT: Final = {AuditLevel.NONE: 0, AuditLevel.DENIALS: 1, AuditLevel.ALL: 2}
_SHARE: Final = {
    RateKey.CALLER: "each calling workload",
    RateKey.END_USER: "each end user",
    RateKey.METHOD: "all callers together",
}


def policy_deltas(old: MethodPolicy, new: MethodPolicy) -> Iterator[Delta]:
    """Every difference, access first; errors are compared by what they mean (`errordiff`)."""
    if old == new:
        return
    yield from access_deltas(old.access, new.access)
    yield from _deadlines(old, new)
    yield from _rates(old.rate, new.rate)
    yield from _limit("concurrency", "concurrency", old.concurrency, new.concurrency, _at_once)
    yield from _limit(
        "request-size", "message_size.request_bytes", old.request_bytes, new.request_bytes, _bytes
    )
    yield from _limit(
        "response-size",
        "message_size.response_bytes",
        old.response_bytes,
        new.response_bytes,
        _bytes,
    )
    if old.criticality is not new.criticality:
        before, after = (each.criticality.name.lower() for each in (old, new))
        yield _note("criticality", "criticality", f"{before} -> {after}", before, after)
    yield from _audit(old, new)
    yield from _tries(old, new)
    yield from _pages(old.page_sizes, new.page_sizes)


def _deadlines(old: MethodPolicy, new: MethodPolicy) -> Iterator[Delta]:
    one, two = old.default_deadline, new.default_deadline
    if one != two:
        before, after = _seconds(one), _seconds(two)
        text = f"a call without a deadline has {after}; before: {before}"
        if two < one:
            yield Delta(
                "default-deadline-lowered", Impact.BREAKS, text, "deadline.default", before, after
            )
        else:
            yield _note("default-deadline-raised", "deadline.default", text, before, after)
    yield from _limit("max-deadline", "deadline.max", old.max_deadline, new.max_deadline, _may_take)


def _rates(old: Rate | None, new: Rate | None) -> Iterator[Delta]:
    if old == new:
        return
    before, after = _rate(old), _rate(new)
    text = f"{before} -> {after}"
    if old is None or new is None:
        yield _moved("rate", "rate", text, new is not None, before, after)
        return
    # The same pace in other words is no change: 60 in 60 s are 1 in 1 s, the burst being named.
    pace = new.requests * old.per - old.requests * new.per
    if pace < 0 or new.burst < old.burst:
        yield _moved("rate", "rate", text, True, before, after)
    if pace > 0 or new.burst > old.burst:
        yield _moved("rate", "rate", text, False, before, after)
    if old.by is not new.by:
        shared = f"one count for {_SHARE[new.by]}; before: for {_SHARE[old.by]}"
        ends = (_SHARE[old.by], _SHARE[new.by])
        if old.by is not RateKey.METHOD:
            yield Delta("rate-key", Impact.BREAKS, shared, "rate.by", *ends)
        if new.by is not RateKey.METHOD:
            yield Delta("rate-key-wider", Impact.WIDENS, shared, "rate.by", *ends)


def _audit(old: MethodPolicy, new: MethodPolicy) -> Iterator[Delta]:
    if old.audit is not new.audit:
        before, after = old.audit.value, new.audit.value
        text = f"audited: {after}; before: {before}"
        if _AUDIT[new.audit] < _AUDIT[old.audit]:
            yield Delta("audit-lowered", Impact.WIDENS, text, "audit.level", before, after)
        else:
            yield _note("audit-raised", "audit.level", text, before, after)
    if old.audit_required is not new.audit_required:
        yield (
            Delta(
                "audit-demanded",
                Impact.BREAKS,
                "a call whose audit line cannot be written is refused now",
                "audit.required",
                "false",
                "true",
            )
            if new.audit_required
            else Delta(
                "audit-not-demanded",
                Impact.WIDENS,
                "a call whose audit line cannot be written goes on now",
                "audit.required",
                "true",
                "false",
            )
        )


def _tries(old: MethodPolicy, new: MethodPolicy) -> Iterator[Delta]:
    if old.idempotent and not new.idempotent:
        yield Delta(
            "idempotency-withdrawn",
            Impact.BREAKS,
            "the method is not idempotent any more: clients do not try again",
            "",
            "idempotent",
            "not idempotent",
        )
    elif new.idempotent and not old.idempotent:
        text = "the method is idempotent now"
        yield _note("idempotency-granted", "", text, "not idempotent", "idempotent")
    if old.attempts != new.attempts and old.idempotent == new.idempotent:
        before, after = str(old.attempts), str(new.attempts)
        text = f"clients try {after} times in all; before: {before}"
        yield _note("retries", "retries.max_attempts", text, before, after)


def _pages(old: tuple[int, int] | None, new: tuple[int, int] | None) -> Iterator[Delta]:
    if old == new:
        return
    if old is None or new is None:
        added = old is None
        text = "the list comes in pages now" if added else "the list comes in pages no more"
        rule = "pagination-added" if added else "pagination-removed"
        yield Delta(rule, Impact.BREAKS, text, "pagination")
        return
    if old[0] != new[0]:
        text = f"a page has {new[0]} items where the caller names no size; before: {old[0]}"
        part = "pagination.default_size"
        yield _note("page-size-default", part, text, str(old[0]), str(new[0]))
    yield from _limit("page-size", "pagination.max_size", old[1], new[1], _items)


def _limit(
    rule: str,
    part: str,
    old: float | None,
    new: float | None,
    shown: Callable[[float | None], str],
) -> Iterator[Delta]:
    if old == new:
        return
    lowered = new is not None and (old is None or new < old)
    before, after = shown(old), shown(new)
    yield _moved(rule, part, f"{after} at most; before: {before}", lowered, before, after)


def _moved(rule: str, part: str, text: str, lowered: bool, before: str, after: str) -> Delta:
    if lowered:
        return Delta(f"{rule}-lowered", Impact.BREAKS, text, part, before, after)
    return Delta(f"{rule}-raised", Impact.WIDENS, text, part, before, after)


def _note(rule: str, part: str, text: str, before: str, after: str) -> Delta:
    return Delta(rule, Impact.NOTE, text, part, before, after)


def _seconds(value: float | None) -> str:
    return "any time" if value is None else f"{value:g} s"


def _may_take(value: float | None) -> str:
    return f"a call may take {_seconds(value)}"


def _at_once(value: float | None) -> str:
    return "any number of calls at once" if value is None else f"{value:g} calls at once"


def _bytes(value: float | None) -> str:
    return f"a message of {value or 0:.0f} bytes"


def _items(value: float | None) -> str:
    return f"a page of {value or 0:.0f} items"


def _rate(rate: Rate | None) -> str:
    if rate is None:
        return "no limit"
    return f"{rate.requests} calls in {rate.per:g} s, {rate.burst} at once"
