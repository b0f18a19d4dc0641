"""Whose profile it is that a call is made for, and up to which age it may watch.

Asked of identity on behalf of the call's own user, who sees no profiles but their own; for many
users at once in few calls, which bring each user's token. What it answered is believed for KEPT
seconds, so that a changed limit counts that late at the latest.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from acme.identity.v1 import identity_pb2
from acme.identity.v1.identity_mesh import ProfileServiceClient, ProfileUnknown
from meshpact.clients import CallError
from meshpact.servers.codegen import Call
from reference.streaming.together import Together

KEPT: Final = 5.0
MOST: Final = 20_000
"""Answers remembered at most."""

TOGETHER: Final = 100
"""Users who are asked for in one call at most."""

AGES: Final[Mapping[int, int]] = {
    identity_pb2.MATURITY_LIMIT_KIDS: 6,
    identity_pb2.MATURITY_LIMIT_OLDER_KIDS: 12,
    identity_pb2.MATURITY_LIMIT_TEENS: 16,
    identity_pb2.MATURITY_LIMIT_ADULTS: 18,
}
"""The highest age that a title may be meant for; a limit that is not known allows the least."""
LEAST: Final = min(AGES.values())


class NotYours(Exception):
    """The profile is another user's, or there is none."""


class NotNow(Exception):
    """Identity cannot be asked."""


class Viewer(msgspec.Struct, frozen=True, gc=False):
    """The profile that watches."""

    profile_id: str
    maximum_age: int


class _Asked(NamedTuple):
    """What is asked for one user."""

    profile_id: str
    token: str


class Profiles:
    """Finds out for whom a call is made. Made inside the event loop."""

    def __init__(self, identity: ProfileServiceClient) -> None:
        self._identity = identity
        self._together = Together(self._check, TOGETHER)
        self._clock = asyncio.get_running_loop().time
        self._known: OrderedDict[tuple[str, str, str], tuple[Viewer, float]] = OrderedDict()

    async def viewer(self, profile_id: str, call: Call) -> Viewer:
        """The profile, if it is one of the calling user's.

        Raises NotYours and NotNow; CallError where the user's token is not good for identity.
        """
        user = call.user
        if user is None:
            raise NotYours
        key = (user.issuer, user.subject, profile_id.lower())
        known = self._known.get(key)
        now = self._clock()
        if known is not None and now < known[1]:
            return known[0]
        found = await self._ask(_Asked(profile_id, call.token))
        self._known[key] = found, now + KEPT
        self._known.move_to_end(key)
        while len(self._known) > MOST:
            self._known.popitem(last=False)
        return found

    async def _ask(self, asked: _Asked) -> Viewer:
        try:
            found = await self._together.answer(asked)
            if found.outcome == identity_pb2.PROFILE_OUTCOME_FOUND:
                return _viewer(asked.profile_id, found.maturity_limit)
            if found.outcome == identity_pb2.PROFILE_OUTCOME_UNKNOWN:
                raise NotYours
            # Refused: the user's own call is told why.
            request = identity_pb2.GetProfileRequest(profile_id=asked.profile_id)
            profile = (await self._identity.get_profile(request)).profile
        except ProfileUnknown:
            raise NotYours from None
        except CallError as error:
            if error.answer is not None:
                raise
            raise NotNow from error
        return _viewer(asked.profile_id, profile.maturity_limit)

    async def _check(self, asked: Sequence[_Asked]) -> Sequence[identity_pb2.CheckedProfile]:
        checks = [
            identity_pb2.ProfileCheck(profile_id=each.profile_id, access_token=each.token)
            for each in asked
        ]
        request = identity_pb2.CheckProfilesRequest(checks=checks)
        return (await self._identity.check_profiles(request)).profiles


def _viewer(profile_id: str, limit: identity_pb2.MaturityLimit.ValueType) -> Viewer:
    return Viewer(profile_id.lower(), AGES.get(limit, LEAST))
