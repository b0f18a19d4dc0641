"""Compiled contracts turned into what the pages show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from meshpact.contracts import names
from meshpact.contracts.docs import model, policywords, rulewords, snippets, types
from meshpact.contracts.docs.examples import Examples
from meshpact.contracts.docs.known import Known, real_oneof
from meshpact.contracts.docs.mesh import Guesses, Target
from meshpact.contracts.errorenums import ErrorValue, of_file
from meshpact.contracts.locations import FileLocations
from meshpact.contracts.model import Contracts, Method, Service

_SYNTAX, _PACKAGE = (12,), (2,)
_SHAPES = {
    (False, False): "one request, one response",
    (False, True): "one request, a stream of responses",
    (True, False): "a stream of requests, one response",
    (True, True): "a stream of requests, a stream of responses",
}


class View(Protocol):
    """What is known of a mesh."""

    def target(self, method: Method) -> Target:
        """How the method is reached."""
        ...

    def callers(self, method: Method) -> str:
        """Who may call by the bindings, "" where none are known."""
        ...


def collect(
    contracts: Contracts, view: View | None = None, known: Known | None = None
) -> model.Site:
    """All packages of the user's own contracts, and what they use of others' (google.protobuf
    apart)."""
    return _Collector(contracts, view or Guesses(), known or Known(contracts.image)).site()


class _Collector:
    def __init__(self, contracts: Contracts, view: View, known: Known) -> None:
        self._contracts = contracts
        self._view = view
        self._known = known
        self._examples = Examples(self._known)
        self._files = {file.name: file for file in contracts.image.files}
        self._locations: dict[str, FileLocations] = {
            file.name: file.locations for file in contracts.files
        }
        self._messages: dict[str, model.Message] = {}
        self._paths: dict[str, tuple[str, tuple[int, ...]]] = {}
        for file in contracts.image.files:
            self._paths.update(types.paths(file))

    def site(self) -> model.Site:
        own = {file.name for file in self._contracts.files}
        used = types.reachable(self._known, [self._files[name] for name in own])
        packages: dict[str, list[FileDescriptorProto]] = {}
        for file in self._contracts.image.files:
            if file.name in own or any(self._paths[name][0] == file.name for name in used):
                packages.setdefault(file.package, []).append(file)
        found = (
            self._package(name, sorted(files, key=lambda file: file.name), own, used)
            for name, files in sorted(packages.items())
        )
        return model.Site(tuple(found))

    def _package(
        self, name: str, files: list[FileDescriptorProto], own: set[str], used: frozenset[str]
    ) -> model.Package:
        messages: list[model.Message] = []
        enums: list[model.Enum] = []
        errors: list[model.Error] = []
        for file in files:
            whole = file.name in own
            listed = {enum.full_name for enum in of_file(file)}
            for found in types.messages(file):
                if whole or found in used:
                    messages.append(self._message(self._known.message(found)))
            for found in types.enums(file):
                if found not in listed and (whole or found in used):
                    enums.append(self._enum(self._known.enum(found)))
            if whole:
                errors += [
                    self._error(e) for enum in of_file(file) for e in enum.values if e.reason
                ]
        return model.Package(
            name,
            tuple(model.Source(file.name, self._about(file)) for file in files),
            tuple(
                self._service(service)
                for file in self._contracts.files
                if file.proto.package == name
                for service in file.services
            ),
            tuple(sorted(messages, key=lambda message: message.name)),
            tuple(sorted(enums, key=lambda enum: enum.name)),
            tuple(errors),
            tuple(option for file in files if file.name in own for option in self._options(file)),
            imported=not any(file.name in own for file in files),
        )

    def _about(self, file: FileDescriptorProto) -> str:
        locations = self._of(file.name)
        return locations.comment(_SYNTAX) or locations.comment(_PACKAGE)

    def _of(self, file: str) -> FileLocations:
        if file not in self._locations:
            self._locations[file] = FileLocations(self._files[file], None)
        return self._locations[file]

    def _comment(self, full_name: str) -> str:
        found = self._paths.get(full_name)
        return self._of(found[0]).comment(found[1]) if found else ""

    def _service(self, service: Service) -> model.Service:
        return model.Service(
            service.proto.name,
            service.full_name,
            service.file.proto.package,
            service.file.locations.comment(service.path),
            tuple(self._method(method) for method in service.methods),
            service.file.name,
            service.proto.options.deprecated,
        )

    def _method(self, method: Method) -> model.Method:
        proto = method.proto
        request = self._message(self._known.message(proto.input_type.lstrip(".")))
        response = self._message(self._known.message(proto.output_type.lstrip(".")))
        errors = tuple(self._error(error) for error in self._contracts.errors_of(method))
        target = self._view.target(method)
        facts = policywords.facts(method)
        if callers := self._view.callers(method):
            facts.insert(1, model.Fact("In this mesh", f"{callers[:1].upper()}{callers[1:]}."))
        if target.made_up:
            facts.append(model.Fact("In the examples", f"{target.made_up}."))
        has_rules = types.has_rules(self._known, self._known.message(request.full_name))
        return model.Method(
            name=proto.name,
            full_name=method.name,
            comment=method.service.file.locations.comment(method.path),
            shape=_SHAPES[proto.client_streaming, proto.server_streaming],
            request=request,
            response=response,
            request_streams=proto.client_streaming,
            response_streams=proto.server_streaming,
            facts=tuple(facts),
            errors=errors,
            guard_errors=tuple(policywords.guard_errors(method, has_rules)),
            grpcurl=snippets.grpcurl(method, target, request.example),
            python=snippets.python(method, target, request.example, errors),
            deprecated=proto.options.deprecated,
        )

    def _error(self, error: ErrorValue) -> model.Error:
        return model.Error(
            reason=error.reason,
            domain=error.domain,
            full_name=error.full_name,
            package=error.package,
            code=policywords.code_name(error.option.code),
            message=error.option.message,
            metadata=tuple(error.option.metadata),
            comment=self._of(error.file).comment(error.path),
            exception=f"{names.module(error.file, '_mesh')}.{error.class_name}",
        )

    def _message(self, descriptor: Descriptor) -> model.Message:
        name = descriptor.full_name
        if name not in self._messages:
            rules = self._known.message_rules(descriptor)
            self._messages[name] = model.Message(
                types.short(descriptor),
                name,
                descriptor.file.package,
                self._comment(name),
                tuple(self._field(field) for field in descriptor.fields),
                tuple(rulewords.of_message(rules) if rules is not None else ()),
                self._examples.of(descriptor),
                bool(descriptor.GetOptions().deprecated),
            )
        return self._messages[name]

    def _field(self, field: FieldDescriptor) -> model.Field:
        rules = self._known.field_rules(field)
        words = rulewords.of_field(rules) if rules is not None else []
        oneof = real_oneof(field)
        owner = None if field.is_extension else field.containing_type
        required = owner is not None and field.name in self._known.demanded(owner)
        if oneof is not None and self._known.oneof_required(oneof):
            words.append(f"one of {', '.join(each.name for each in oneof.fields)} is required")
        options = field.GetOptions()
        return model.Field(
            name=field.name,
            json_name=field.json_name,
            full_name=field.full_name,
            number=field.number,
            type=types.of(field),
            comment=self._comment(types.key(field)),
            rules=tuple(word for word in words if word != "required"),
            required=required,
            optional=field.containing_oneof is not None and oneof is None,
            oneof=oneof.name if oneof is not None else "",
            redacted=options.debug_redact,
            deprecated=options.deprecated,
            default=repr(field.default_value) if field.has_default_value else "",
        )

    def _enum(self, descriptor: EnumDescriptor) -> model.Enum:
        name = descriptor.full_name
        scope = name.rpartition(".")[0]
        return model.Enum(
            types.short(descriptor),
            name,
            descriptor.file.package,
            self._comment(name),
            tuple(
                model.EnumValue(
                    value.name,
                    f"{scope}.{value.name}" if scope else value.name,
                    value.number,
                    self._comment(f"{name}/{value.name}"),
                    bool(value.GetOptions().deprecated),
                )
                for value in descriptor.values
            ),
            bool(descriptor.GetOptions().deprecated),
        )

    def _options(self, file: FileDescriptorProto) -> Iterator[model.Field]:
        scope = f"{file.package}." if file.package else ""
        find = self._known.pool.FindExtensionByName
        yield from (self._field(find(scope + extension.name)) for extension in file.extension)
