"""Every method has a whole policy that does not contradict itself, its messages, or the errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

from meshpact.contracts.faults import Fault
from meshpact.contracts.locations import Stated
from meshpact.contracts.model import Contracts, File, Method, Service
from meshpact.interceptors import policy as policies
from meshpact.interceptors.policy import Problem
from meshpact.policy.v1 import policy_pb2 as pb

_FIELD = FieldDescriptorProto


def find(contracts: Contracts, file: File) -> Iterator[Fault]:
    """The faults of all policies in a file.

    A fault that all methods inherit is told once, of the service; one that only some inherit (they
    state what does not go with it) is told of each of these.
    """
    for service in file.services:
        found = {method.name: list(_problems(contracts, method)) for method in service.methods}
        if not any(found.values()):
            continue
        on_service = file.locations.policy_option((*service.path, 3), pb.Policy.DESCRIPTOR)
        for method in service.methods:
            on_method = file.locations.policy_option((*method.path, 4), pb.Policy.DESCRIPTOR)
            for problem in found[method.name]:
                if problem.inherited and all(problem in problems for problems in found.values()):
                    yield _fault(contracts, service, on_service, problem)
                elif problem.inherited:
                    yield _fault(contracts, method, on_method, _passed_on(problem, on_service))
                else:
                    yield _fault(contracts, method, on_method, problem)


def _passed_on(problem: Problem, on_service: Sequence[Stated]) -> Problem:
    entry = locate(on_service, problem.part, problem.message)
    where = f", line {entry.position[0]}" if entry else ""
    return replace(problem, message=f"{problem.message} (inherited from the service{where})")


def _problems(contracts: Contracts, method: Method) -> Iterator[Problem]:
    idempotency = method.proto.options.idempotency_level
    yield from policies.problems(method.policy, method.inherited, idempotency)
    for part, message, remedy in (
        *_errors(contracts, method),
        *_pagination(contracts, method),
    ):
        yield Problem(part, part.partition(".")[0] in method.inherited, message, remedy)


def _errors(contracts: Contracts, method: Method) -> Iterator[tuple[str, str, str]]:
    package = method.service.file.proto.package
    seen: set[str] = set()
    for name in method.policy.errors:
        found = contracts.errors.find(name, package)
        if not found:
            yield "errors", f"there is no error {name!r}", _no_error(contracts, name, package)
        elif len(found) > 1:
            matches = ", ".join(sorted(value.full_name for value in found))
            yield "errors", f"{name!r} is the reason of several errors", f"name one of {matches}"
        elif found[0].full_name in seen:
            yield "errors", f"the error {name!r} is listed twice", "list it once"
        seen.update(value.full_name for value in found)


def _no_error(contracts: Contracts, name: str, package: str) -> str:
    if close := contracts.errors.close(name, package):
        return f"did you mean {' or '.join(close)}?"
    if known := contracts.errors.reasons(package):
        return f"the errors of {package} are {', '.join(known)}"
    return (
        f"{package or 'the package'} has no error enum: write one with "
        'option (meshpact.policy.v1.errors).domain = "...", or give the full name of a value of '
        "another package"
    )


def _pagination(contracts: Contracts, method: Method) -> Iterator[tuple[str, str, str]]:
    if not method.policy.HasField("pagination"):
        return
    part = "pagination"
    if method.proto.client_streaming or method.proto.server_streaming:
        yield part, "a method that streams has pages", "drop pagination, or drop stream"
        return
    request = contracts.messages[method.proto.input_type][1]
    response = contracts.messages[method.proto.output_type][1]
    for message, name, kind, written in (
        (request, "page_size", _FIELD.TYPE_INT32, "int32"),
        (request, "page_token", _FIELD.TYPE_STRING, "string"),
        (response, "next_page_token", _FIELD.TYPE_STRING, "string"),
    ):
        if not _has(message, name, kind):
            yield (
                part,
                f"{message.name} has no field {written} {name} (AIP-158)",
                f"add {written} {name} to {message.name}, or drop pagination",
            )
    lists = [field for field in response.field if field.label == _FIELD.LABEL_REPEATED]
    if len(lists) != 1:
        yield (
            part,
            f"{response.name} has {len(lists) or 'no'} repeated fields, where a page has one "
            "(AIP-158)",
            f"let {response.name} have one repeated field, the items, or drop pagination",
        )


def _has(message: DescriptorProto, name: str, kind: FieldDescriptorProto.Type.ValueType) -> bool:
    return any(
        field.name == name and field.type == kind and field.label != _FIELD.LABEL_REPEATED
        for field in message.field
    )


def _fault(
    contracts: Contracts, owner: Method | Service, stated: Sequence[Stated], problem: Problem
) -> Fault:
    file = owner.file if isinstance(owner, Service) else owner.service.file
    subject = owner.full_name if isinstance(owner, Service) else owner.name
    entry = locate(stated, problem.part, problem.message)
    line, column = entry.position if entry else file.locations.of(owner.path)
    place = contracts.image.place(file.name, line, column)
    return Fault(place, subject, problem.message, problem.remedy)


def locate(stated: Sequence[Stated], part: str, message: str = "") -> Stated | None:
    """Where a part (`access.roles`) is stated; where it is not, the nearest thing around it.

    Of several entries of a list, the one that the message quotes. None: the option is not there.
    """
    wanted = tuple(part.split(".")) if part else ()
    for length in range(len(wanted), -1, -1):
        entries = [entry for entry in stated if entry.names == wanted[:length]]
        if entries:
            quoted = (entry for entry in entries if entry.text and repr(entry.text) in message)
            return next(quoted, entries[0])
    return stated[0] if stated else None
