"""Images that others wrote, as a side of a review: read in any order, refused when wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pb2 import FileDescriptorSet as Files

from meshpact.contracts.image import compile_image
from review.reviews import Ran, Repository

Review = Callable[..., Ran]


def file(name: str, *imports: str, message: str = "") -> FileDescriptorProto:
    made = FileDescriptorProto(name=name, package="x.v1", syntax="proto3", dependency=imports)
    if message:
        made.message_type.add(name=message)
    return made


def with_field() -> FileDescriptorProto:
    made = file("r.proto", message="M")
    made.message_type[0].field.add(
        name="a",
        number=1,
        type=FieldDescriptorProto.TYPE_MESSAGE,
        label=FieldDescriptorProto.LABEL_OPTIONAL,
        type_name=".gone.N",
    )
    return made


def with_method() -> FileDescriptorProto:
    made = file("r.proto")
    made.service.add(name="S").method.add(name="Do", input_type=".gone.N", output_type=".gone.N")
    return made


WRONG: Final = {
    "imports in a circle": (
        [file("a.proto", "b.proto"), file("b.proto", "a.proto")],
        "a circle: a.proto -> b.proto",
    ),
    "a file that imports itself": ([file("a.proto", "a.proto")], "a circle: a.proto"),
    "a file that is there twice": ([file("a.proto"), file("a.proto")], "holds a.proto twice"),
    "an import that is not there": ([file("a.proto", "b.proto")], "lacks b.proto"),
    "a field of no type": ([with_field()], "M.a in r.proto with the type '.gone.N'"),
    "a method of no type": ([with_method()], "S/Do in r.proto with the type '.gone.N'"),
    "one symbol in two files": (
        [file("a.proto", message="A"), file("b.proto", message="A")],
        "has x.v1.A twice, in a.proto and in b.proto",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_image_that_no_compiler_writes_is_refused(
    repository: Repository, review: Review, tmp_path: Path, name: str
) -> None:
    files, said = WRONG[name]
    path = tmp_path / "image.binpb"
    path.write_bytes(Files(file=files).SerializeToString())
    before = repository.state()
    ran = review("--against", path)
    assert (ran.code, said in ran.err) == (2, True), ran.err
    assert repository.state() == before


def test_the_order_of_files_in_an_image_does_not_matter(
    repository: Repository, review: Review, tmp_path: Path
) -> None:
    image = compile_image([Path("protos")])
    path = tmp_path / "image.binpb"
    path.write_bytes(Files(file=reversed(image.files)).SerializeToString())
    assert review("--against", path).code == 0


def test_an_image_nested_without_end_is_refused(
    repository: Repository, review: Review, tmp_path: Path
) -> None:
    nested = b""
    for _ in range(2_000):
        nested = _field(3, nested)
    path = tmp_path / "image.binpb"
    path.write_bytes(_field(1, _field(1, b"deep.proto") + _field(4, nested)))
    ran = review("--against", path)
    assert (ran.code, "is no image" in ran.err) == (2, True)


def _field(number: int, content: bytes) -> bytes:
    size, out = len(content), bytearray([number << 3 | 2])
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*out, size]) + content
