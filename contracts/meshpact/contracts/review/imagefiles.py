"""The files of an image that somebody else wrote: put in order, or refused with what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

from meshpact.contracts.review.model import Unreadable


def in_order(image: str, files: Iterable[FileDescriptorProto]) -> list[FileDescriptorProto]:
    """The files, each behind what it imports; `image` is what people call it.

    Raises Unreadable for a file that is there twice or lacks an import, for imports in a circle,
    for a type that two files have, and for one that no file has.
    """
    known: dict[str, FileDescriptorProto] = {}
    for file in files:
        if known.setdefault(file.name, file) is not file:
            raise Unreadable(f"{image} holds {file.name} twice: write it anew")
    for file in known.values():
        if missing := [name for name in file.dependency if name not in known]:
            raise Unreadable(
                f"{image} lacks {', '.join(missing)}, which {file.name} imports: write it with "
                "--include_imports"
            )
    found = list(_sorted(image, known))
    types: dict[str, str] = {}
    for file in found:
        for name in _types(file):
            if name in types:
                first, second = sorted((types[name], file.name))
                raise Unreadable(f"{image} has {name[1:]} twice, in {first} and in {second}")
            types[name] = file.name
    for file in found:
        for place, name in _used(file):
            if name not in types:
                raise Unreadable(
                    f"{image} has {place} in {file.name} with the type {name!r}, which is nowhere: "
                    "write it with --include_imports"
                )
    return found


def _sorted(image: str, known: dict[str, FileDescriptorProto]) -> Iterator[FileDescriptorProto]:
    done: set[str] = set()
    for start in known:
        path: dict[str, Iterator[str]] = {} if start in done else {start: _imports(known[start])}
        while path:
            name = next(reversed(path))
            wanted = next((each for each in path[name] if each not in done), None)
            if wanted is None:
                del path[name]
                done.add(name)
                yield known[name]
            elif wanted in path:
                circle = [*path][[*path].index(wanted) :]
                raise Unreadable(f"{image} has imports in a circle: {' -> '.join(circle)}")
            else:
                path[wanted] = _imports(known[wanted])


def _imports(file: FileDescriptorProto) -> Iterator[str]:
    return iter(tuple(file.dependency))


def _types(file: FileDescriptorProto) -> Iterator[str]:
    scope = f".{file.package}" if file.package else ""
    yield from (f"{scope}.{enum.name}" for enum in file.enum_type)
    for message in file.message_type:
        yield from _inside(scope, message)


def _inside(scope: str, message: DescriptorProto) -> Iterator[str]:
    name = f"{scope}.{message.name}"
    yield name
    yield from (f"{name}.{enum.name}" for enum in message.enum_type)
    for inner in message.nested_type:
        yield from _inside(name, inner)


def _used(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    """What names a type, and the type."""
    for service in file.service:
        for method in service.method:
            yield f"{service.name}/{method.name}", method.input_type
            yield f"{service.name}/{method.name}", method.output_type
    waiting = list(file.message_type)
    while waiting:
        message = waiting.pop()
        waiting += message.nested_type
        for field in message.field:
            if field.type_name:
                yield f"{message.name}.{field.name}", field.type_name
