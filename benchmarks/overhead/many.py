"""A service of 200 methods, made for the occasion: guarded, and as `_pb2_grpc` registers it."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from google.protobuf.descriptor import ServiceDescriptor
from measure.v1 import measure_pb2 as pb

from meshpact.contracts import thirdparty
from meshpact.interceptors.spec import MethodSpec
from overhead.stage import Stage

METHODS: Final = 200
NAMES: Final = tuple(f"Check{number:03d}" for number in range(METHODS))
PREFIX: Final = "/many.v1.ManyService"

_PROTOS: Final = Path(__file__).parents[1] / "contract" / "protos"
_HEAD: Final = """\
syntax = "proto3";
package many.v1;
import "measure/v1/measure.proto";
import "meshpact/policy/v1/policy.proto";
service ManyService {
  option (meshpact.policy.v1.service) = {
    access: {roles: "measure.caller"}
    deadline: {default: {seconds: 5} max: {seconds: 30}}
    rate: {requests: 1000000 per: {seconds: 1} burst: 1000000 by: RATE_KEY_CALLER}
    audit: {level: AUDIT_LEVEL_DENIALS}
  };
"""


def make(stage: Stage) -> None:
    """Writes the contract and lets grpcio-tools generate from it."""
    folder = _folder(stage)
    contract = folder / "many" / "v1" / "many.proto"
    contract.parent.mkdir(parents=True)
    methods = "".join(
        f"  rpc {name}(measure.v1.CheckRequest) returns (measure.v1.CheckResponse);\n"
        for name in NAMES
    )
    contract.write_text(f"{_HEAD}{methods}}}\n", encoding="utf-8")
    includes = [f"-I{path}" for path in (folder, _PROTOS, *thirdparty.include_paths())]
    with tempfile.NamedTemporaryFile(suffix=".binpb") as known:
        known.write(thirdparty.descriptors().SerializeToString())
        known.flush()
        subprocess.run(
            [
                *(sys.executable, "-m", "grpc_tools.protoc", *includes),
                f"--descriptor_set_in={known.name}",
                f"--python_out={folder}",
                f"--grpc_python_out={folder}",
                str(contract),
            ],
            stdin=subprocess.DEVNULL,
            check=True,
        )


def made(stage: Stage) -> bool:
    """Whether `make` was here."""
    return _folder(stage).exists()


def specs(stage: Stage) -> list[MethodSpec[pb.CheckRequest, pb.CheckResponse]]:
    """What `meshpact generate` would say of the methods."""
    service: ServiceDescriptor = _module(stage, "many_pb2").DESCRIPTOR.services_by_name[
        "ManyService"
    ]
    return [
        MethodSpec(service.methods_by_name[name], name.lower(), pb.CheckRequest, pb.CheckResponse)
        for name in NAMES
    ]


def register_stock(stage: Stage, server: Any, check: Callable[..., Any]) -> None:
    """Registers the same handler for every method, as grpcio's generated code does."""
    module = _module(stage, "many_pb2_grpc")
    servicer = type("Servicer", (), {name: staticmethod(check) for name in NAMES})()
    module.add_ManyServiceServicer_to_server(servicer, server)


def _folder(stage: Stage) -> Path:
    return stage.folder / "many"


def _module(stage: Stage, name: str) -> ModuleType:
    folder = str(_folder(stage))
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(f"many.v1.{name}")
