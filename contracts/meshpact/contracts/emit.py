"""The text of a `_mesh` module: errors, descriptors, servers to implement, clients to call."""

from __future__ import annotations

import keyword
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from meshpact.contracts import emit_errors, names, words
from meshpact.contracts.layout import WIDTH, Group, docstring, explode, lay
from meshpact.contracts.model import Contracts, File, Method, Service
from meshpact.interceptors import policy as policies

SUFFIX: Final = "_mesh.py"
_PRIVATE: Final = "# pyright: reportPrivateUsage=false, reportUnusedClass=false"
"""In a module whose contract has names that begin with an underscore."""
_SYNTAX: Final = (12,)
_PACKAGE: Final = (2,)


@dataclass(frozen=True)
class _Flavour:
    """aio or threads: what differs between the two."""

    suffix: str
    iterable: str
    iterator: str
    define: str
    wait: str


_AIO: Final = _Flavour("", "AsyncIterable", "AsyncIterator", "async def", "await ")
_SYNC: Final = _Flavour("Sync", "Iterable", "Iterator", "def", "")


def emit(contracts: Contracts, file: File) -> str:
    """The `_mesh` module of a file in which the checks find no fault."""
    return _Module(contracts, file).text()


class _Module:
    def __init__(self, contracts: Contracts, file: File) -> None:
        self._contracts = contracts
        self._file = file
        self._private = False
        self._hidden: dict[str, tuple[str, list[str]]] = {}
        self._imports = {"meshpact.clients.codegen": "_client"}
        if file.services:
            self._imports["meshpact.servers.codegen"] = "_server"
            self._imports[names.module(file.name, "_pb2")] = "_pb"

    def text(self) -> str:
        blocks = [emit_errors.exception(self._file, error) for error in self._file.errors]
        for service in self._file.services:
            blocks.append(self._specs(service))
            blocks += [self._base(service, flavour) for flavour in (_AIO, _SYNC)]
            blocks += [self._client(service, flavour) for flavour in (_AIO, _SYNC)]
        private = any(service.proto.name.startswith("_") for service in self._file.services)
        allowed = [_PRIVATE] if private or self._private else []
        lines = [names.header(self._file.name), *allowed, *self._preamble(), *self._keyword_types()]
        for index, block in enumerate(blocks):
            gap = 1 if index == 0 and not self._file.errors else 2
            lines += [*[""] * gap, *block]
        return "\n".join(lines) + "\n"

    def _preamble(self) -> Iterator[str]:
        comment = self._file.locations.comment
        about = comment(_SYNTAX) or comment(_PACKAGE)
        yield from docstring(about or f"What is generated from {self._file.name}.", 0)
        yield from ("", "from __future__ import annotations", "")
        if self._file.services:
            if any(service.methods for service in self._file.services):
                yield "import abc"
            if used := self._iterators():
                yield f"from collections.abc import {', '.join(used)}"
            hidden = "TYPE_CHECKING, " if self._hidden else ""
            yield from (f"from typing import {hidden}ClassVar", "")
        foreign = sorted(
            (m for m in self._imports if m.startswith("google.")), key=names.import_order
        )
        ours = sorted((m for m in self._imports if m not in foreign), key=names.import_order)
        for module in foreign:
            yield from self._import(module)
        if foreign:
            yield ""
        for module in ours:
            yield from self._import(module)

    def _import(self, module: str) -> list[str]:
        package, _, name = module.rpartition(".")
        alias = self._imports[module]
        if not package:
            return [f"import {name} as {alias}"]
        line = f"from {package} import {name} as {alias}"
        broken = [f"from {package} import (", f"    {name} as {alias},", ")"]
        return [line] if len(line) <= WIDTH else broken

    def _iterators(self) -> list[str]:
        protos = [method.proto for service in self._file.services for method in service.methods]
        used: set[str] = set()
        for flavour in (_AIO, _SYNC):
            if any(proto.client_streaming for proto in protos):
                used |= {flavour.iterable, flavour.iterator}
            if any(proto.server_streaming for proto in protos):
                used.add(flavour.iterator)
        return sorted(used)

    def _alias(self, module: str) -> str:
        return self._imports.setdefault(module, f"_{module.replace('.', '_')}")

    def _type(self, name: str) -> str:
        """The expression for a message by its full name (`.acme.v1.Outer.Inner`)."""
        file, _ = self._contracts.messages[name]
        scope = f".{file.package}." if file.package else "."
        module, parts = self._alias(names.module(file.name, "_pb2")), name.removeprefix(scope)
        self._private |= any(part.startswith("_") for part in parts.split("."))
        if not any(map(keyword.iskeyword, parts.split("."))):
            return f"{module}.{parts}"
        alias = f"{module}_{parts.replace('.', '_')}"
        self._hidden[alias] = (module, parts.split("."))
        return alias

    def _keyword_types(self) -> Iterator[str]:
        """Names for messages whose own name is a keyword: mypy-protobuf puts _r_ before it."""
        if not self._hidden:
            return
        hidden = sorted(self._hidden.items())
        yield from ("", "if TYPE_CHECKING:")
        for alias, (module, parts) in hidden:
            typed = [f"_r_{part}" if keyword.iskeyword(part) else part for part in parts]
            private = "  # pyright: ignore[reportPrivateUsage]"
            line = f"    {alias} = {'.'.join((module, *typed))}"
            broken = [f"    {alias} = (", f"        {'.'.join((module, *typed))}{private}", "    )"]
            yield from [line + private] if len(line) <= WIDTH else broken
        yield "else:"
        for alias, (module, parts) in hidden:
            last = max(at for at, part in enumerate(parts) if keyword.iskeyword(part))
            value = module
            for part in parts[:last]:
                value = (
                    f'getattr({value}, "{part}")' if keyword.iskeyword(part) else f"{value}.{part}"
                )
            tail = "".join(f".{part}" for part in parts[last + 1 :])
            arguments = [value, f'"{parts[last]}"']
            yield from lay(Group(f"{alias} = getattr(", arguments, f"){tail}"), 4)

    def _errors(self, method: Method) -> list[str]:
        """The expressions for the exceptions that a method lets out."""
        found: list[str] = []
        for error in self._contracts.errors_of(method):
            here = error.file == self._file.name
            module = "" if here else self._alias(names.module(error.file, "_mesh")) + "."
            found.append(module + error.class_name)
        return found

    def _specs(self, service: Service) -> list[str]:
        descriptor = f"_{service.constant}"
        lines = [f'{descriptor} = _pb.DESCRIPTOR.services_by_name["{service.proto.name}"]']
        for method in service.methods:
            arguments: list[str | Group] = [
                f'{descriptor}.methods_by_name["{method.proto.name}"]',
                f'"{method.attribute}"',
                self._type(method.proto.input_type),
                self._type(method.proto.output_type),
            ]
            if errors := self._errors(method):
                arguments.append(Group("errors=(", errors, ")", display=True))
            lines += lay(Group(f"{method.constant} = _client.MethodSpec(", arguments, ")"))
        methods = Group("methods=(", [m.constant for m in service.methods], ")", display=True)
        spec = Group(f"{service.constant} = _client.ServiceSpec(", [descriptor, methods], ")")
        return [*lines, *lay(spec)]

    def _base(self, service: Service, flavour: _Flavour) -> list[str]:
        how = "on asyncio" if flavour is _AIO else "on threads"
        about = self._comment(service, f"{service.proto.name} to implement, {how}.")
        parent = "(abc.ABC)" if service.methods else ""
        lines = [f"class {service.proto.name}Base{flavour.suffix}{parent}:", *docstring(about, 4)]
        lines += ["", f"    SPEC: ClassVar[_server.ServiceSpec] = {service.constant}"]
        for method in service.methods:
            requests = f"{flavour.iterator}[{self._type(method.proto.input_type)}]"
            parameters = ["self", self._request(method, requests), "call: _server.Call", "/"]
            define = "def" if method.proto.server_streaming else flavour.define
            head = f"{define} {method.attribute}("
            tail = f") -> {self._response(method, flavour)}:"
            lines += ["", "    @abc.abstractmethod"]
            lines += [*lay(Group(head, parameters, tail), 4), *self._method_docstring(method)]
        return lines

    def _client(self, service: Service, flavour: _Flavour) -> list[str]:
        how = "asyncio" if flavour is _AIO else "threads"
        about = self._comment(service, f"{service.proto.name} to call, from {how}.")
        channel = f"channel: _client.Channel{flavour.suffix}"
        lines = [f"class {service.proto.name}Client{flavour.suffix}:", *docstring(about, 4)]
        lines += ["", f"    def __init__(self, {channel}) -> None:"]
        if not service.methods:
            lines.append("        del channel  # there is nothing to call yet")
        for method in service.methods:
            shape = _shape(method)
            call = Group(f"self._{method.attribute} = channel.{shape}(", [method.constant], ")")
            lines += lay(call, 8)
        for method in service.methods:
            lines += ["", *self._client_method(method, flavour)]
        return lines

    def _client_method(self, method: Method, flavour: _Flavour) -> list[str]:
        requests = f"{flavour.iterable}[{self._type(method.proto.input_type)}]"
        parameters = [
            "self",
            self._request(method, requests),
            "*",
            "timeout: float | None = None",
            "metadata: _client.Metadata = ()",
            'token: str = ""',
        ]
        streams = method.proto.server_streaming
        define = "def" if streams else flavour.define
        wait = "" if streams else flavour.wait
        first = "requests" if method.proto.client_streaming else "request"
        arguments = [first, "timeout", "metadata", "token"]
        tail = f") -> {self._response(method, flavour)}:"
        call = Group(f"return {wait}self._{method.attribute}(", arguments, ")")
        return [
            *explode(Group(f"{define} {method.attribute}(", parameters, tail), 4),
            *self._method_docstring(method),
            *lay(call, 8),
        ]

    def _request(self, method: Method, stream: str) -> str:
        if method.proto.client_streaming:
            return f"requests: {stream}"
        return f"request: {self._type(method.proto.input_type)}"

    def _response(self, method: Method, flavour: _Flavour) -> str:
        response = self._type(method.proto.output_type)
        return f"{flavour.iterator}[{response}]" if method.proto.server_streaming else response

    def _comment(self, service: Service, otherwise: str) -> str:
        about = self._file.locations.comment(service.path) or otherwise
        return about + _deprecated(service.proto.options.deprecated)

    def _method_docstring(self, method: Method) -> list[str]:
        about = self._file.locations.comment(method.path) or f"Calls {method.name}."
        about += _deprecated(method.proto.options.deprecated)
        idempotency = method.proto.options.idempotency_level
        policy = policies.build(method.policy, idempotency)
        errors = [error.class_name for error in self._contracts.errors_of(method)]
        lines = [
            piece
            for line in words.lines(policy, idempotency, errors)
            for piece in textwrap.wrap(line, WIDTH - 8, subsequent_indent="  ")
        ]
        return docstring(f"{about}\n\n" + "\n".join(lines), 8)


def _deprecated(deprecated: bool) -> str:
    return "\n\nDeprecated." if deprecated else ""


def _shape(method: Method) -> str:
    sides = (method.proto.client_streaming, method.proto.server_streaming)
    return "_".join("stream" if streams else "unary" for streams in sides)
