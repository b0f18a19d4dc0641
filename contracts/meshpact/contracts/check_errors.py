"""Every error of a contract says its domain, status code and words, and has a reason (AIP-193)."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterator

from meshpact.contracts import errorenums
from meshpact.contracts.check_policy import locate
from meshpact.contracts.emit_errors import attribute
from meshpact.contracts.errorenums import ErrorEnum, ErrorValue
from meshpact.contracts.faults import Fault
from meshpact.contracts.locations import Position
from meshpact.contracts.model import Contracts, File
from meshpact.policy.v1 import policy_pb2 as pb

_REASON = re.compile(r"[A-Z][A-Z0-9_]+[A-Z0-9]")
_KEY = re.compile(r"[a-z][a-z0-9_]*")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_Found = Iterator[tuple[str, str, str]]
_OPTION = "(meshpact.policy.v1.error)"


def find(contracts: Contracts, file: File) -> Iterator[Fault]:
    """The faults of all error enums in a file."""

    def fault(position: Position, subject: str, message: str, remedy: str) -> Fault:
        return Fault(contracts.image.place(file.name, *position), subject, message, remedy)

    for enum in file.error_enums:
        if problems := list(_enum(enum)):
            stated = file.locations.policy_option((*enum.path, 3), pb.ErrorDomain.DESCRIPTOR)
            for part, message, remedy in problems:
                entry = locate(stated, part)
                position = entry.position if entry else file.locations.of(enum.path)
                yield fault(position, enum.full_name, message, remedy)
        for value in enum.values:
            if problems := list(_value(enum, value)):
                stated = file.locations.policy_option((*value.path, 3), pb.Error.DESCRIPTOR)
                for part, message, remedy in problems:
                    entry = locate(stated, part, message) if part else None
                    position = entry.position if entry else file.locations.of(value.path)
                    yield fault(position, value.full_name, message, remedy)
    for name, path, in_error_enum in errorenums.misplaced(file.proto):
        if in_error_enum:
            message, remedy = "the value 0 is no error", f"drop {_OPTION} from it"
        else:
            message = f"it has {_OPTION}, but its enum is no error enum"
            remedy = 'add option (meshpact.policy.v1.errors).domain = "..." to the enum'
        yield fault(file.locations.of(path), name, message, remedy)


def _enum(enum: ErrorEnum) -> _Found:
    if not enum.domain:
        yield (
            "domain",
            "the error enum has no domain",
            'add option (meshpact.policy.v1.errors).domain = "name.of.your.organization"',
        )
    elif not _DOMAIN.fullmatch(enum.domain) or enum.domain == "meshpact":
        yield (
            "domain",
            f"{enum.domain!r} is not a domain for errors",
            "write a lower-case DNS name that your organization owns, such as "
            "inventory.acme.example (meshpact itself is taken)",
        )
    if not enum.values:
        yield "", "the error enum has no error", f"add a value, such as {enum.prefix}NOT_FOUND = 1"


def _value(enum: ErrorEnum, value: ErrorValue) -> _Found:
    yield from _reason(enum, value)
    option = value.option
    if not option.code:
        yield (
            "code",
            "the error has no status code",
            f'add [{_OPTION} = {{ code: CODE_FAILED_PRECONDITION message: "..." }}]',
        )
    if not option.message.strip():
        yield "message", "the error has no message", 'say what people read: message: "..."'
    for key in option.metadata:
        if not _KEY.fullmatch(key) or len(key) > 64:
            yield (
                "metadata",
                f"{key!r} is not a metadata key",
                "write lower snake case, at most 64 characters, such as request_id",
            )
    for key, count in Counter(option.metadata).items():
        if count > 1:
            yield "metadata", f"the metadata key {key!r} is listed twice", "list it once"
    first: dict[str, str] = {}
    for key in dict.fromkeys(option.metadata):
        other = first.setdefault(attribute(key), key)
        if other != key:
            yield (
                "metadata",
                f"the metadata keys {other!r} and {key!r} get one Python name, {attribute(key)}",
                "rename one of them",
            )
    yield from _placeholders(option)


def _reason(enum: ErrorEnum, value: ErrorValue) -> _Found:
    if not value.reason:
        yield (
            "",
            f"the name does not start with {enum.prefix}",
            f"call it {enum.prefix}{value.name} (the reason is what follows the prefix)",
        )
    elif not _REASON.fullmatch(value.reason) or len(value.reason) > 63:
        yield (
            "",
            f"its reason {value.reason!r} is not upper snake case of 3 to 63 characters (AIP-193)",
            f"rename it: {enum.prefix} and then upper-case letters, digits and underscores, a "
            "letter first and no underscore last",
        )


def _placeholders(option: pb.Error) -> _Found:
    try:
        places = list(string.Formatter().parse(option.message))
    except ValueError:
        yield (
            "message",
            "a brace in the message has no partner",
            "write {key} for metadata, {{ and }} for braces themselves",
        )
        return
    for _, key, form, conversion in places:
        if key is None:
            continue
        if form or conversion or not _KEY.fullmatch(key):
            shown = key + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
            yield (
                "message",
                f"{{{shown}}} in the message is not the name of a metadata key",
                "write {key} with a key alone, {{ and }} for braces themselves",
            )
        elif key not in option.metadata:
            listed = ", ".join(f'"{known}"' for known in (*option.metadata, key))
            yield (
                "message",
                f"{{{key}}} in the message is not in metadata",
                f"add it: metadata: [{listed}]",
            )
