"""`protoc-gen-meshpact`: the `_mesh` modules of `meshpact generate`, as a plugin of protoc or buf.

The image comes from the caller: errors are found among the files it sends, and places inside the
braces of an option are those of the option. Plugins that stand beside it see and write nothing of
its: it writes `_mesh.py` files alone. `paths=source_relative` and the like mean nothing to Python.
"""

from __future__ import annotations

import sys
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import Edition
from google.protobuf.message import DecodeError

from meshpact.contracts import emit, names
from meshpact.contracts.check import check
from meshpact.contracts.faults import ContractsError
from meshpact.contracts.image import Image
from meshpact.contracts.model import Contracts


def main() -> int:
    """Answer the CodeGeneratorRequest on standard input; the exit code is 0 (plugin.proto)."""
    if sys.stdin.isatty():
        sys.stderr.write(
            "protoc-gen-meshpact is a plugin: run meshpact generate, or "
            "protoc --meshpact_out=DIR ... with it on the PATH\n"
        )
        return 2
    try:
        request = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    except DecodeError:
        sys.stderr.write("protoc-gen-meshpact: standard input is no CodeGeneratorRequest\n")
        return 2
    sys.stdout.buffer.write(respond(request).SerializeToString())
    return 0


def respond(request: CodeGeneratorRequest) -> CodeGeneratorResponse:
    """The modules for the files to generate, or all faults of these files as the error."""
    response = CodeGeneratorResponse(
        supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
        | CodeGeneratorResponse.FEATURE_SUPPORTS_EDITIONS,
        minimum_edition=Edition.EDITION_PROTO2,
        maximum_edition=Edition.EDITION_2024,
    )
    if request.parameter:
        response.error = (
            f"protoc-gen-meshpact takes no options, and was given {request.parameter!r}: drop "
            "--meshpact_opt (protoc) or opt (buf.gen.yaml)"
        )
        return response
    own: dict[str, Path | None] = dict.fromkeys(request.file_to_generate)
    contracts = Contracts(Image(tuple(request.proto_file), own))
    try:
        check(contracts)
    except ContractsError as error:
        response.error = str(error)
        return response
    for file in contracts.files:
        if file.has_module:
            path = names.module_path(file.name, emit.SUFFIX)
            response.file.add(name=path, content=emit.emit(contracts, file))
    return response


if __name__ == "__main__":
    sys.exit(main())
