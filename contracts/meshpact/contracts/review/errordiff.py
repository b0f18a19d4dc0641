"""Which errors a client no longer gets, and which look different: by reason and domain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshpact.contracts.errorenums import ErrorValue
from meshpact.contracts.model import Contracts, Method
from meshpact.contracts.review.model import Delta, Impact
from meshpact.policy.v1 import policy_pb2 as pb


def listed_deltas(old: tuple[Contracts, Method], new: tuple[Contracts, Method]) -> Iterator[Delta]:
    """What differs between the errors that a method lists. An error whose domain changed is the
    same error; `value_deltas` tells of that."""
    before = {error.reason for error in old[0].errors_of(old[1])}
    after = {error.reason for error in new[0].errors_of(new[1])}
    texts = ", ".join(sorted(before)) or "none", ", ".join(sorted(after)) or "none"
    for reason in sorted(before - after):
        text = f"does not fail with {reason} any more"
        yield Delta("error-removed", Impact.BREAKS, text, "errors", *texts)
    for reason in sorted(after - before):
        text = f"may fail with {reason}, too"
        yield Delta("error-added", Impact.NOTE, text, "errors", *texts)


def own_errors(contracts: Contracts) -> Mapping[str, ErrorValue]:
    """The errors of the user's own contracts by full name."""
    return {error.full_name: error for file in contracts.files for error in file.errors}


def value_deltas(old: ErrorValue, new: ErrorValue) -> Iterator[Delta]:
    """What differs between two forms of one error."""
    one, two = old.option, new.option
    if one.code != two.code:
        before, after = (pb.Code.Name(each.code).removeprefix("CODE_") for each in (one, two))
        text = f"is sent with {after}; before: {before}"
        yield Delta("error-code", Impact.BREAKS, text, "", before, after)
    if old.domain != new.domain:
        text = f"has the domain {new.domain}; before: {old.domain}"
        yield Delta("error-domain", Impact.BREAKS, text, "", old.domain, new.domain)
    for key in sorted(set(one.metadata) - set(two.metadata)):
        yield Delta("error-metadata-removed", Impact.BREAKS, f"lacks the metadata {key} now")
    for key in sorted(set(two.metadata) - set(one.metadata)):
        yield Delta("error-metadata-added", Impact.NOTE, f"has the metadata {key}, too")
    if one.message != two.message:
        text = f"reads {two.message!r}; before: {one.message!r}"
        yield Delta("error-message", Impact.NOTE, text, "", one.message, two.message)
