"""Contracts of others that need no vendoring: where protoc finds each of them in this install."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from meshpact.contracts.faults import WrongUse

POLICY: Final = "meshpact/policy/v1/policy.proto"
VALIDATE: Final = "buf/validate/validate.proto"
STATUS: Final = (
    "google/rpc/code.proto",
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
)
"""What every failed call carries."""
MISNAMED: Final = {
    "google/longrunning/operations_proto.proto": "google/longrunning/operations.proto",
}
"""Sources that are installed under a name which their modules do not load by -> the right one."""


def include_paths() -> list[Path]:
    """The folders that hold meshpact/policy, google/{api,rpc,type,longrunning} and google/protobuf.

    Raises WrongUse when an installed package has lost its .proto files.
    """
    return list(
        dict.fromkeys(
            (
                _root("meshpact.policy.v1", POLICY, "meshpact"),
                _root("google.rpc", "google/rpc/status.proto", "googleapis-common-protos"),
                _root("grpc_tools", "_proto/google/protobuf/any.proto", "grpcio-tools", "_proto"),
            )
        )
    )


def descriptors() -> FileDescriptorSet:
    """The contracts that are installed as descriptors only: buf/validate, google/longrunning."""
    return FileDescriptorSet(file=[validate_descriptor(), _longrunning_descriptor()])


def validate_descriptor() -> FileDescriptorProto:
    """The descriptor of buf/validate/validate.proto, out of the protovalidate wheel.

    The module is private to protovalidate (hence the upper bound in pyproject.toml); its messages
    belong to another protobuf runtime than ours, so bytes are what passes between them.
    """
    from protovalidate._gen.buf.validate import validate_pb

    descriptor = validate_pb._DESC  # pyright: ignore[reportPrivateUsage]
    return FileDescriptorProto.FromString(descriptor.proto.to_binary())


def _longrunning_descriptor() -> FileDescriptorProto:
    """google/longrunning/operations.proto, whose source is installed under another name."""
    module = importlib.import_module("google.longrunning.operations_proto_pb2")  # has no types
    return FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)


def is_stub_only(name: str) -> bool:
    """Whether the module of a contract is installed, and only its type stubs are missing."""
    return name.startswith("google/") and not name.startswith("google/protobuf/")


def _root(package: str, sample: str, distribution: str, below: str = "") -> Path:
    """The folder to give to protoc so that `sample` (a path in `package`'s tree) is found."""
    try:
        portions = [Path(path) for path in importlib.import_module(package).__path__]
    except ModuleNotFoundError:
        portions = []
    depth = 0 if below else package.count(".")
    for portion in portions:
        root = portion if below else portion.parents[depth]
        if (root / sample).is_file():
            return root / below
    raise WrongUse(
        f"{sample} is not where the package {distribution} should have it; "
        f"install it: pip install 'meshpact[contracts]'"
    )
