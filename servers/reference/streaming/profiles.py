"""Whose profile it is that a call is made for, and up to which age it may watch.

Asked of identity on behalf of the call's own user, who sees no profiles but their own. What it
answered is believed for KEPT seconds, so that a changed limit counts that late at the latest.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, NamedTuple

from acme.identity.v1 import identity_pb2
from acme.identity.v1.identity_mesh import ProfileServiceClient, ProfileUnknown
from meshpact.clients import CallError
from meshpact.servers.codegen import Call

KEPT: Final = 5.0
MOST: Final = 20_000
"""Answers remembered at most."""

AGES: Final[Mapping[int, int]] = {
    identity_pb2.MATURITY_LIMIT_KIDS: 6,
    identity_pb2.MATURITY_LIMIT_OLDER_KIDS: 12,
    identity_pb2.MATURITY_LIMIT_TEENS: 16,
    identity_pb2.MATURITY_LIMIT_ADULTS: 18,
}
"""The highest age that a title may be meant for; a limit that is not known allows the least."""


class NotYours(Exception):
    """The profile is another user's, or there is none."""


class NotNow(Exception):
    """Identity cannot be asked."""


class Viewer(NamedTuple):
    """The profile that watches."""

    profile_id: str
    maximum_age: int


class Profiles:
    """Finds out for whom a call is made. Made inside the event loop."""

    def __init__(self, identity: ProfileServiceClient) -> None:
        self._identity = identity
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
        found = await self._ask(profile_id)
        self._known[key] = found, now + KEPT
        self._known.move_to_end(key)
        while len(self._known) > MOST:
            self._known.popitem(last=False)
        return found

    async def _ask(self, profile_id: str) -> Viewer:
        request = identity_pb2.GetProfileRequest(profile_id=profile_id)
        try:
            profile = (await self._identity.get_profile(request)).profile
        except ProfileUnknown:
            raise NotYours from None
        except CallError as error:
            if error.answer is not None:
                raise
            raise NotNow from error
        least = min(AGES.values())
        return Viewer(profile.profile_id, AGES.get(profile.maturity_limit, least))
