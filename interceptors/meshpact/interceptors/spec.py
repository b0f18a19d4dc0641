"""What a generated module says of a service: its methods, their types, shapes and policies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from meshpact.interceptors.errors import ContractError
from meshpact.interceptors.policy import MethodPolicy, resolve
from meshpact.policy.v1.policy_pb2 import Policy

Req = TypeVar("Req", bound=Message)
Res = TypeVar("Res", bound=Message)


@dataclass(frozen=True, eq=False)
class MethodSpec(Generic[Req, Res]):
    """One method of a contract.

    `attribute` is its name on the generated base and client (`reserve_stock`). `errors` are the
    generated exceptions that its policy lets out. `overlay` is the policy of a contract that one
    does not own, or overrides parts of one that one does.
    """

    descriptor: MethodDescriptor
    attribute: str
    request: type[Req]
    response: type[Res]
    errors: tuple[type[ContractError], ...] = ()
    overlay: Policy | None = None

    @property
    def name(self) -> str:
        """The method's name alone: `ReserveStock`."""
        return str(self.descriptor.name)

    @property
    def service(self) -> str:
        """The full name of its service: `acme.retail.inventory.v1.InventoryService`."""
        return str(self.descriptor.containing_service.full_name)

    @cached_property
    def path(self) -> str:
        """The name on the wire: `/acme.retail.inventory.v1.InventoryService/ReserveStock`."""
        return f"/{self.service}/{self.name}"

    @property
    def request_streaming(self) -> bool:
        """Whether the client sends a stream."""
        return bool(self.descriptor.client_streaming)

    @property
    def response_streaming(self) -> bool:
        """Whether the server sends a stream."""
        return bool(self.descriptor.server_streaming)

    @cached_property
    def policy(self) -> MethodPolicy:
        """The policy that stands in the contract, the service's parts inherited.

        Raises PolicyError when the contract leaves out or contradicts what a policy needs.
        """
        return resolve(self.descriptor, self.overlay)


@dataclass(frozen=True, eq=False)
class ServiceSpec:
    """One service of a contract, with its methods in the contract's order."""

    descriptor: ServiceDescriptor
    methods: tuple[MethodSpec[Any, Any], ...]

    @property
    def name(self) -> str:
        """The full name: `acme.retail.inventory.v1.InventoryService`."""
        return str(self.descriptor.full_name)
