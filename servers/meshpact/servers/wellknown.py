"""The messages of grpcio-health-checking and grpcio-reflection, which come without sound types.

Both packages ship no py.typed, and the stubs of others lag behind them (no List). So their modules
are taken as they are here, in one place, and only the descriptors have a type.
"""

from __future__ import annotations

import importlib
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import FileDescriptor

health_pb2: Final[Any] = importlib.import_module("grpc_health.v1.health_pb2")
reflection_pb2: Final[Any] = importlib.import_module("grpc_reflection.v1alpha.reflection_pb2")

HEALTH_FILE: Final[FileDescriptor] = health_pb2.DESCRIPTOR
REFLECTION_FILE: Final[FileDescriptor] = reflection_pb2.DESCRIPTOR

HealthCheckRequest: TypeAlias = Any
HealthCheckResponse: TypeAlias = Any
HealthListRequest: TypeAlias = Any
HealthListResponse: TypeAlias = Any
ReflectionRequest: TypeAlias = Any
ReflectionResponse: TypeAlias = Any
