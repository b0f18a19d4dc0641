"""What `meshpact call` does: from what was asked for to responses, or to a line of grpcurl."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from meshpact.certs.issuer import Issuer
from meshpact.clients.dynamic.call import CallFailed as CallFailed
from meshpact.clients.dynamic.call import failed, invoke
from meshpact.clients.dynamic.contracts import Contracts, from_protoset, from_reflection
from meshpact.clients.dynamic.errors import UseError
from meshpact.clients.dynamic.grpcurl import grpcurl_line, token_command
from meshpact.clients.dynamic.target import RunningState, Target
from meshpact.mesh.local import issuer_of
from meshpact.mesh.state import State

STDIN = ("@-", "@")
"""Data that stands for stdin; grpcurl knows the second."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a person asked `meshpact call` for; the fields are its options."""

    method: str
    data: str = ""
    identity: str = ""
    user: str = ""
    scopes: Sequence[str] = ()
    groups: Sequence[str] = ()
    token_file: Path | None = None
    headers: Sequence[str] = ()
    seconds: float | None = None
    address: str = ""
    reflection: bool = False
    state: Path

    @property
    def service(self) -> str:
        """The full name of the service."""
        return self.method.removeprefix("/").rpartition("/")[0]

    @property
    def metadata(self) -> list[tuple[str, str]]:
        """The headers as pairs; UseError for one that is none."""
        pairs: list[tuple[str, str]] = []
        for header in self.headers:
            key, colon, value = header.partition(":")
            name = key.strip().lower()
            if name.partition(" ")[0] == "authorization":
                raise UseError(
                    "a token does not go on a command line, which others on this machine can "
                    "read: put it into a file and give --token-file FILE."
                )
            if not colon or not name:
                raise UseError(f"{header!r} is no metadata: write 'key: value'.")
            pairs.append((name, value.strip()))
        return pairs


def responses(asked: Asked) -> Iterator[str]:
    """Make the call; yields each response as ProtoJSON.

    Raises CallFailed for a failed call, UseError for what cannot be asked, CertsError for unusable
    identity files, MeshFileError for the mesh.yaml of the running mesh.
    """
    running, target, contracts = _found(asked)
    metadata = asked.metadata
    token = _token(asked, running)
    if token:
        metadata.append(("authorization", f"Bearer {token}"))
    with target.channel() as channel:
        known = contracts or _reflected(channel, asked.service)
        method = known.method(asked.method)
        data: Iterable[str] = sys.stdin if asked.data in STDIN else [asked.data]
        yield from invoke(
            channel, method, known.pool, data, metadata=metadata, seconds=asked.seconds
        )


def as_grpcurl(asked: Asked) -> str:
    """The call as a line of grpcurl; by `asked.reflection` without the protoset."""
    running, target, contracts = _found(asked)
    if contracts is not None:
        contracts.method(asked.method)
    if asked.token_file is not None:
        tokens = ["cat", str(asked.token_file)]
    else:
        tokens = token_command(running, asked.user, asked.scopes, asked.groups)
    return grpcurl_line(
        target,
        asked.method,
        STDIN[1] if asked.data in STDIN else asked.data,
        protoset=None if contracts is None else running.state.contracts_file,
        metadata=asked.metadata,
        token_command=tokens,
        seconds=asked.seconds,
    )


def _found(asked: Asked) -> tuple[RunningState, Target, Contracts | None]:
    """Where to call, and the contracts written down; None when the server must be asked."""
    running = RunningState.read(State(asked.state))
    contracts = None if asked.reflection else from_protoset(running.state.contracts_file)
    if contracts is not None and asked.service not in contracts.services and not asked.address:
        running.check_up(asked.service)
        contracts.method(asked.method)
    if contracts is not None and asked.service not in contracts.services:
        contracts = None
    target = running.target(asked.service, caller=asked.identity, address=asked.address)
    return running, target, contracts


def _reflected(channel: grpc.Channel, service: str) -> Contracts:
    try:
        return from_reflection(channel, service)
    except grpc.RpcError as error:
        raise failed(error) from None


def _token(asked: Asked, running: RunningState) -> str:
    """The end user's token: the one in the file, or one made here for `user`; "" for neither."""
    if asked.token_file is not None:
        if asked.user:
            raise UseError("--user and --token-file exclude each other: a call has one end user.")
        try:
            return asked.token_file.read_text().strip()
        except OSError as error:
            raise UseError(f"{asked.token_file}: {error.strerror}.") from None
    if not asked.user:
        return ""
    entry = issuer_of(running.config, running.state)
    if entry is None:
        raise UseError(
            f"{running.running.mesh_file} trusts no token of the development issuer: list "
            f"{running.state.issuer}/jwks.json as the file of an issuer, or use --token-file."
        )
    return Issuer.load(running.state.issuer).mint(
        asked.user,
        audience=entry.audiences,
        scopes=asked.scopes,
        groups=asked.groups,
        issuer=entry.issuer,
    )
