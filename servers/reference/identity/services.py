"""The gRPC services of identity: contract on one side, records on the other."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import Connection

from acme.identity.v1 import identity_pb2 as pb
from acme.identity.v1.identity_mesh import (
    IntrospectionServiceBase,
    LastProfile,
    ProfileNameTaken,
    ProfileServiceBase,
    ProfileUnknown,
    RequestReused,
    SessionServiceBase,
    SessionUnknown,
    TooManyProfiles,
)
from meshpact.interceptors.errors import (
    Code,
    FieldViolation,
    StatusError,
    invalid_request,
)
from meshpact.servers.codegen import Call
from meshpact.servers.paging import PageTokens, page_size
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.idempotency import Idempotency
from reference.identity import profiles, usersessions
from reference.identity.oauth import Protocol
from reference.identity.profiles import LastOne, NameTaken, Profile, TooMany
from reference.identity.tables import requests
from reference.identity.tokens import TokenMaker
from reference.identity.usersessions import UserSession

M = TypeVar("M", bound=Message)

READS: Final = "profiles.read"
"""The scope that lets a user's profiles be looked at."""
CHANGEABLE: Final = ("display_name", "maturity_limit")


def _once(clock: Callable[[], float]) -> Idempotency:
    return Idempotency(requests, lambda name: RequestReused(request_id=name), clock=clock)


class ProfileService(ProfileServiceBase):
    """Profiles of the account that calls."""

    def __init__(
        self,
        database: Database,
        tokens: TokenMaker,
        pages: PageTokens,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._pages = pages
        self._clock = clock
        self._requests = _once(clock)

    async def get_profile(
        self, request: pb.GetProfileRequest, call: Call, /
    ) -> pb.GetProfileResponse:
        account, name = _account(call), request.profile_id.lower()
        found = await self._database.read(lambda c: profiles.find(c, account, name))
        if found is None:
            raise ProfileUnknown(profile_id=request.profile_id)
        return pb.GetProfileResponse(profile=_profile(found))

    async def check_profiles(
        self, request: pb.CheckProfilesRequest, call: Call, /
    ) -> pb.CheckProfilesResponse:
        asked = [
            (self._user(each.access_token), each.profile_id.lower()) for each in request.checks
        ]
        wanted = {(user, name) for user, name in asked if user}
        found = await self._database.read(lambda c: profiles.limits(c, wanted)) if wanted else {}
        return pb.CheckProfilesResponse(
            profiles=[_checked(user, found.get((user, name))) for user, name in asked]
        )

    def _user(self, token: str) -> str:
        """Whose profiles a token lets one look at; empty for nobody's."""
        claims = self._tokens.read(token)
        if claims is None or READS not in str(claims.get("scope", "")).split():
            return ""
        return str(claims["sub"])

    async def list_profiles(
        self, request: pb.ListProfilesRequest, call: Call, /
    ) -> pb.ListProfilesResponse:
        account, size = _account(call), page_size(request.page_size, call.info.policy)
        key = self._pages.start(request, call)
        after = 0 if key is None else int(key[0])
        found = await self._database.read(lambda c: profiles.page(c, account, after, size + 1))
        shown, more = self._pages.page(request, call, found, size, lambda last: (last.position,))
        return pb.ListProfilesResponse(profiles=map(_profile, shown), next_page_token=more)

    async def create_profile(
        self, request: pb.CreateProfileRequest, call: Call, /
    ) -> pb.CreateProfileResponse:
        account, asked = _account(call), request.profile

        def add(connection: Connection) -> pb.CreateProfileResponse:
            try:
                made = profiles.add(
                    connection,
                    account,
                    str(uuid.uuid4()),
                    asked.display_name,
                    asked.maturity_limit,
                    self._clock(),
                )
            except NameTaken:
                raise ProfileNameTaken from None
            except TooMany:
                raise TooManyProfiles(limit=profiles.MOST) from None
            return pb.CreateProfileResponse(profile=_profile(made))

        return await self._change(request, call, add)

    async def update_profile(
        self, request: pb.UpdateProfileRequest, call: Call, /
    ) -> pb.UpdateProfileResponse:
        account, asked = _account(call), request.profile
        paths = _paths(request)

        def change(connection: Connection) -> pb.UpdateProfileResponse:
            try:
                found = profiles.change(
                    connection,
                    account,
                    asked.profile_id.lower(),
                    asked.display_name if "display_name" in paths else None,
                    asked.maturity_limit if "maturity_limit" in paths else None,
                )
            except NameTaken:
                raise ProfileNameTaken from None
            if found is None:
                raise ProfileUnknown(profile_id=asked.profile_id)
            return pb.UpdateProfileResponse(profile=_profile(found))

        return await self._change(request, call, change)

    async def delete_profile(
        self, request: pb.DeleteProfileRequest, call: Call, /
    ) -> pb.DeleteProfileResponse:
        account, name = _account(call), request.profile_id.lower()

        def remove(connection: Connection) -> pb.DeleteProfileResponse:
            try:
                there = profiles.remove(connection, account, name)
            except LastOne:
                raise LastProfile from None
            if not there:
                raise ProfileUnknown(profile_id=request.profile_id)
            return pb.DeleteProfileResponse()

        return await self._change(request, call, remove)

    async def _change(self, request: Message, call: Call, make: Callable[[Connection], M]) -> M:
        return await self._database.write(
            lambda c: self._requests.remember(c, call, request, lambda: make(c))
        )


class SessionService(SessionServiceBase):
    """Sessions of the account that calls."""

    def __init__(self, database: Database, protocol: Protocol, pages: PageTokens) -> None:
        self._database = database
        self._protocol = protocol
        self._pages = pages
        self._requests = _once(protocol.clock)

    async def list_sessions(
        self, request: pb.ListSessionsRequest, call: Call, /
    ) -> pb.ListSessionsResponse:
        account, size = _account(call), page_size(request.page_size, call.info.policy)
        key = self._pages.start(request, call)
        after = None if key is None else (float(key[0]), str(key[1]))
        now = self._protocol.clock()
        found = await self._database.read(
            lambda c: usersessions.page(c, account, after, size + 1, now)
        )
        shown, more = self._pages.page(
            request, call, found, size, lambda last: (repr(last.created_at), last.id)
        )
        claims = self._protocol.tokens.read(call.token) or {}
        return pb.ListSessionsResponse(
            sessions=[_session(each, claims) for each in shown], next_page_token=more
        )

    async def revoke_session(
        self, request: pb.RevokeSessionRequest, call: Call, /
    ) -> pb.RevokeSessionResponse:
        account, name = _account(call), request.session_id.lower()

        def end(connection: Connection) -> pb.RevokeSessionResponse:
            signed = usersessions.by_id(connection, name, self._protocol.clock())
            if signed is None or not usersessions.end(connection, name, account):
                raise SessionUnknown(session_id=request.session_id)
            return pb.RevokeSessionResponse()

        return await self._database.write(
            lambda c: self._requests.remember(c, call, request, lambda: end(c))
        )


class IntrospectionService(IntrospectionServiceBase):
    """What tokens are worth, for workloads."""

    def __init__(self, database: Database, protocol: Protocol) -> None:
        self._database = database
        self._protocol = protocol

    async def introspect_token(
        self, request: pb.IntrospectTokenRequest, call: Call, /
    ) -> pb.IntrospectTokenResponse:
        claims = await self._database.read(lambda c: self._protocol.active(c, request.token))
        if claims is None:
            return pb.IntrospectTokenResponse(active=False)
        return pb.IntrospectTokenResponse(
            active=True,
            subject=claims["sub"],
            client_id=claims["client_id"],
            audiences=[claims["aud"]],
            scopes=claims["scope"].split(),
            groups=claims["groups"],
            session_id=claims["sid"],
            expire_time=_at(claims["exp"]),
        )


def _account(call: Call) -> str:
    if call.user is None:
        raise StatusError(Code.INTERNAL, "the contract asks for an end user, and none is there")
    return call.user.subject


def _paths(request: pb.UpdateProfileRequest) -> frozenset[str]:
    """What to change (AIP-134); INVALID_ARGUMENT for other fields, and for empty values."""
    asked = request.profile
    given = request.update_mask.paths or [path for path in CHANGEABLE if getattr(asked, path)]
    paths = frozenset(CHANGEABLE if list(given) == ["*"] else given)
    faults = [
        FieldViolation(
            "update_mask",
            f"{path!r} is no field that can be changed; allowed: {', '.join(CHANGEABLE)}",
            "UPDATE_MASK_INVALID",
        )
        for path in sorted(paths - frozenset(CHANGEABLE))
    ] or [
        FieldViolation(f"profile.{path}", "must be given", "VALUE_MISSING")
        for path in sorted(paths)
        if not getattr(asked, path)
    ]
    if faults:
        raise invalid_request(faults)
    return paths


def _checked(user: str, maturity: int | None) -> pb.CheckedProfile:
    if not user:
        return pb.CheckedProfile(outcome=pb.PROFILE_OUTCOME_REFUSED)
    if maturity is None:
        return pb.CheckedProfile(outcome=pb.PROFILE_OUTCOME_UNKNOWN)
    return pb.CheckedProfile(
        outcome=pb.PROFILE_OUTCOME_FOUND,
        maturity_limit=pb.MaturityLimit.ValueType(maturity),
    )


def _profile(found: Profile) -> pb.Profile:
    return pb.Profile(
        profile_id=found.id,
        display_name=found.name,
        maturity_limit=pb.MaturityLimit.ValueType(found.maturity),
        create_time=_at(found.created_at),
    )


def _session(found: UserSession, claims: Mapping[str, Any]) -> pb.Session:
    return pb.Session(
        session_id=found.id,
        user_agent=found.user_agent,
        source_address=found.source,
        client_ids=found.clients,
        current=claims.get("sid") == found.id,
        create_time=_at(found.created_at),
        last_use_time=_at(found.used_at),
        expire_time=_at(found.expires_at),
    )


def _at(seconds: float) -> Timestamp:
    return Timestamp(seconds=int(seconds), nanos=int(seconds % 1 * 1_000_000) * 1000)
