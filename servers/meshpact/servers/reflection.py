"""Server reflection v1 and v1alpha (gRFC A53's protocol): the contracts of what is served here.

One implementation answers both: v1 is v1alpha under another package, with the same bytes on the
wire, so v1's descriptors are a renamed copy and both use v1alpha's message classes. Only files
that the mounted services need are shown, whatever else the process has loaded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import ClassVar, Final

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor

from meshpact.interceptors.call import Call
from meshpact.interceptors.errors import Code
from meshpact.interceptors.spec import MethodSpec, ServiceSpec
from meshpact.servers.filedescriptors import ERROR_DETAILS, whole
from meshpact.servers.overlay import BUILT_IN, overlaid
from meshpact.servers.wellknown import REFLECTION_FILE, reflection_pb2
from meshpact.servers.wellknown import ReflectionRequest as Request
from meshpact.servers.wellknown import ReflectionResponse as Response

_V1_FILE: Final = "grpc/reflection/v1/reflection.proto"
_V1: Final = "grpc.reflection.v1"
_V1ALPHA: Final = "grpc.reflection.v1alpha"


def _v1_service() -> ServiceDescriptor:
    default = descriptor_pool.Default()
    try:
        return default.FindServiceByName(f"{_V1}.ServerReflection")
    except KeyError:
        pass
    file = descriptor_pb2.FileDescriptorProto.FromString(REFLECTION_FILE.serialized_pb)
    file.name = _V1_FILE
    file.package = _V1
    file.ClearField("options")
    for message in file.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = field.type_name.replace(f".{_V1ALPHA}.", f".{_V1}.")
    for service in file.service:
        for method in service.method:
            method.input_type = method.input_type.replace(f".{_V1ALPHA}.", f".{_V1}.")
            method.output_type = method.output_type.replace(f".{_V1ALPHA}.", f".{_V1}.")
    # A pool of its own: who loads the published v1 file later meets no conflict in the default one.
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindServiceByName(f"{_V1}.ServerReflection")


def _spec(service: ServiceDescriptor) -> ServiceSpec:
    method = service.methods_by_name["ServerReflectionInfo"]
    return overlaid(
        ServiceSpec(
            service,
            methods=(
                MethodSpec(
                    method,
                    "server_reflection_info",
                    reflection_pb2.ServerReflectionRequest,
                    reflection_pb2.ServerReflectionResponse,
                ),
            ),
        ),
        BUILT_IN,
    )


REFLECTION_V1: Final = _spec(_v1_service())
REFLECTION_V1ALPHA: Final = _spec(REFLECTION_FILE.services_by_name["ServerReflection"])


class Catalog:
    """What reflection shows: the services given, and every file they need."""

    def __init__(self, services: Iterable[ServiceDescriptor]) -> None:
        self._services: dict[str, ServiceDescriptor] = {}
        self._files: dict[str, FileDescriptor] = {}
        for service in services:
            self._services[str(service.full_name)] = service
            self._add(service.file)
        self._add(ERROR_DETAILS)  # so that a client can show a refusal in words
        self._extensions = _extensions(self._files.values())
        self._pools = list({id(file.pool): file.pool for file in self._files.values()}.values())

    def _add(self, file: FileDescriptor) -> None:
        name = str(file.name)
        if name not in self._files:
            self._files[name] = file
            for dependency in file.dependencies:
                self._add(dependency)

    def answer(self, request: Request) -> Response:
        """The response to one request of the stream."""
        response = reflection_pb2.ServerReflectionResponse(
            valid_host=request.host, original_request=request
        )
        kind = request.WhichOneof("message_request")
        if kind == "list_services":
            for name in sorted(self._services):
                response.list_services_response.service.add(name=name)
            return response
        if kind == "all_extension_numbers_of_type":
            name = request.all_extension_numbers_of_type
            if not self._has(name):
                return _missing(response, f"type {name!r}")
            response.all_extension_numbers_response.base_type_name = name
            response.all_extension_numbers_response.extension_number.extend(
                sorted(number for extended, number in self._extensions if extended == name)
            )
            return response
        if kind == "file_by_filename":
            wanted = f"file {request.file_by_filename!r}"
            file = self._files.get(request.file_by_filename)
        elif kind == "file_containing_symbol":
            wanted = f"symbol {request.file_containing_symbol!r}"
            file = self._holder(request.file_containing_symbol)
        elif kind == "file_containing_extension":
            extension = request.file_containing_extension
            wanted = f"extension {extension.extension_number} of {extension.containing_type!r}"
            file = self._extensions.get((extension.containing_type, extension.extension_number))
        else:
            return _failed(response, Code.INVALID_ARGUMENT, "The request asks for nothing.")
        if file is None:
            return _missing(response, wanted)
        response.file_descriptor_response.file_descriptor_proto.extend(
            whole(each).SerializeToString() for each in _closure(file)
        )
        return response

    def _has(self, type_name: str) -> bool:
        return self._holder(type_name) is not None

    def _holder(self, symbol: str) -> FileDescriptor | None:
        service = self._services.get(symbol) or self._services.get(symbol.rpartition(".")[0])
        if service is not None:
            return service.file
        for pool in self._pools:
            try:
                found = pool.FindFileContainingSymbol(symbol)
            except KeyError:
                continue
            return self._files.get(str(found.name))
        return None


def _extensions(files: Iterable[FileDescriptor]) -> dict[tuple[str, int], FileDescriptor]:
    """Every extension that these files define, by (extended message, number)."""
    found: dict[tuple[str, int], FileDescriptor] = {}
    for file in files:
        proto = descriptor_pb2.FileDescriptorProto.FromString(file.serialized_pb)
        for extension in _declared(proto):
            found[extension.extendee.removeprefix("."), extension.number] = file
    return found


def _declared(
    proto: descriptor_pb2.FileDescriptorProto | descriptor_pb2.DescriptorProto,
) -> Iterator[descriptor_pb2.FieldDescriptorProto]:
    yield from proto.extension
    nested = (
        proto.message_type
        if isinstance(proto, descriptor_pb2.FileDescriptorProto)
        else proto.nested_type
    )
    for message in nested:
        yield from _declared(message)


def _closure(file: FileDescriptor) -> Iterator[FileDescriptor]:
    """The file first, then all it needs, each once."""
    seen: dict[str, FileDescriptor] = {}
    waiting = [file]
    while waiting:
        each = waiting.pop(0)
        if str(each.name) not in seen:
            seen[str(each.name)] = each
            waiting.extend(each.dependencies)
    yield from seen.values()


def _missing(response: Response, wanted: str) -> Response:
    return _failed(response, Code.NOT_FOUND, f"No {wanted} is served here.")


def _failed(response: Response, code: Code, message: str) -> Response:
    number: int = code.value[0]
    response.error_response.error_code = number
    response.error_response.error_message = message
    return response


class Reflection:
    """Reflection on asyncio, in one of its two versions."""

    SPEC: ClassVar[ServiceSpec] = REFLECTION_V1

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def server_reflection_info(
        self, requests: AsyncIterator[Request], _call: Call, /
    ) -> AsyncIterator[Response]:
        """One answer to each request."""
        async for request in requests:
            yield self._catalog.answer(request)


class ReflectionAlpha(Reflection):
    """The same under the name that older tools ask for."""

    SPEC: ClassVar[ServiceSpec] = REFLECTION_V1ALPHA


class ReflectionSync:
    """Reflection on threads, in one of its two versions."""

    SPEC: ClassVar[ServiceSpec] = REFLECTION_V1

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def server_reflection_info(
        self, requests: Iterator[Request], _call: Call, /
    ) -> Iterator[Response]:
        """One answer to each request."""
        for request in requests:
            yield self._catalog.answer(request)


class ReflectionAlphaSync(ReflectionSync):
    """The same under the name that older tools ask for."""

    SPEC: ClassVar[ServiceSpec] = REFLECTION_V1ALPHA
