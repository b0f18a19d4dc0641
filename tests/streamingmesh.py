"""The streaming system for tests: catalog and recommendations behind real servers and mTLS.

They are made by the factories of mesh.yaml and guarded as it says. Profiles come from a servicer of
identity's contract that keeps them in memory; tokens from issuers whose keys the tests have.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from acme.identity.v1 import identity_pb2
from acme.identity.v1.identity_mesh import ProfileServiceBase, ProfileUnknown
from acme.streaming.catalog.v1 import catalog_pb2
from acme.streaming.recommendations.v1 import recommendations_pb2 as pb
from meshpact.interceptors.errors import Code, StatusError
from meshpact.servers.codegen import Call
from meshpact.testing.mesh import LocalMesh
from reference.streaming.catalog.filling import RULES
from reference.streaming.catalog.messages import message
from reference.streaming.dataset import rows
from reference.streaming.dataset.titles import titles
from reference.streaming.recommendations import model, training

ROOT: Final = Path(__file__).parent.parent
ISSUER: Final = "http://localhost:8710"
AUDIENCE: Final = "streaming.acme.example"
READ: Final = ("streaming.read", "profiles.read")
WATCH: Final = (*READ, "streaming.watch")

KIDS: Final = identity_pb2.MATURITY_LIMIT_KIDS
TEENS: Final = identity_pb2.MATURITY_LIMIT_TEENS
ADULTS: Final = identity_pb2.MATURITY_LIMIT_ADULTS


class Profiles(ProfileServiceBase):
    """Profiles in memory. `asked` has the workload and the user of each call."""

    def __init__(self) -> None:
        self.clock: Callable[[], float] = time.time
        self.profiles: dict[str, tuple[str, identity_pb2.Profile]] = {}
        self.asked: list[tuple[str, str]] = []

    def add(self, user: str, limit: identity_pb2.MaturityLimit.ValueType) -> str:
        """A new profile of a user; its ID."""
        profile_id = str(uuid.uuid4())
        self.profiles[profile_id] = (
            user,
            identity_pb2.Profile(profile_id=profile_id, display_name="x", maturity_limit=limit),
        )
        return profile_id

    async def get_profile(
        self, request: identity_pb2.GetProfileRequest, call: Call, /
    ) -> identity_pb2.GetProfileResponse:
        user = call.user.subject if call.user else ""
        self.asked.append((call.caller.workload, user))
        owner, profile = self.profiles.get(request.profile_id, ("", None))
        if profile is None or user != owner:
            raise ProfileUnknown(profile_id=request.profile_id)
        return identity_pb2.GetProfileResponse(profile=profile)

    async def check_profiles(
        self, request: identity_pb2.CheckProfilesRequest, call: Call, /
    ) -> identity_pb2.CheckProfilesResponse:
        return identity_pb2.CheckProfilesResponse(
            profiles=[self._checked(each, call) for each in request.checks]
        )

    def _checked(self, check: identity_pb2.ProfileCheck, call: Call) -> identity_pb2.CheckedProfile:
        claims = _said(check.access_token)
        if claims["exp"] <= self.clock() or "profiles.read" not in claims["scope"].split():
            return identity_pb2.CheckedProfile(outcome=identity_pb2.PROFILE_OUTCOME_REFUSED)
        self.asked.append((call.caller.workload, claims["sub"]))
        owner, profile = self.profiles.get(check.profile_id, ("", None))
        if profile is None or claims["sub"] != owner:
            return identity_pb2.CheckedProfile(outcome=identity_pb2.PROFILE_OUTCOME_UNKNOWN)
        return identity_pb2.CheckedProfile(
            outcome=identity_pb2.PROFILE_OUTCOME_FOUND, maturity_limit=profile.maturity_limit
        )

    async def list_profiles(self, request: Any, call: Call, /) -> Any:
        raise _unused()

    async def create_profile(self, request: Any, call: Call, /) -> Any:
        raise _unused()

    async def update_profile(self, request: Any, call: Call, /) -> Any:
        raise _unused()

    async def delete_profile(self, request: Any, call: Call, /) -> Any:
        raise _unused()


def _said(token: str) -> dict[str, Any]:
    """The claims of a token that somebody else has verified."""
    middle = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return claims


def _unused() -> StatusError:
    return StatusError(Code.UNIMPLEMENTED, "no test asks for it")


def write_mesh(folder: Path) -> Path:
    """The project's mesh.yaml with what the tests need of identity: a workload, and its issuer."""
    mesh = yaml.safe_load((ROOT / "mesh.yaml").read_text())
    mesh["services"]["identity"] = {}
    others = [each for each in mesh["issuers"] if each["issuer"] != ISSUER]
    mesh["issuers"] = [
        {
            "issuer": ISSUER,
            "jwks": f"{ISSUER}/jwks",
            "audiences": [AUDIENCE],
            "algorithms": ["ES256"],
        },
        *others,
    ]
    for name in mesh["services"].values():
        name.pop("web", None)
    mesh.pop("driver", None)
    mesh.pop("systems", None)
    path = folder / "mesh.yaml"
    path.write_text(json.dumps(mesh))  # which is YAML too
    return path


class Streaming:
    """A running system: `mesh` to call it, `profiles` to have somebody to call for."""

    def __init__(
        self,
        folder: Path,
        *,
        services: Sequence[str] = ("catalog", "recommendations"),
        storage: Callable[[str], str] | None = None,
        trained: bool = True,
    ) -> None:
        self.profiles = Profiles()
        self.state = folder / "state"
        self._trained = trained
        self.mesh = LocalMesh(
            write_mesh(folder),
            state=self.state,
            services=services,
            servicers={"identity": self.profiles},
            storage=storage,
        )
        self.profiles.clock = self.mesh.clock.time

    async def __aenter__(self) -> Streaming:
        if self._trained:
            self.mesh.state.create()
            shutil.copytree(trained_model(), self.state / "models" / "recommendations")
        await self.mesh.__aenter__()
        return self

    async def __aexit__(self, *ended: Any) -> None:
        await self.mesh.__aexit__(*ended)

    def token(self, user: str, scopes: Collection[str] = WATCH, **further: Any) -> str:
        """A token of a user, by the issuer of identity."""
        return self.mesh.token(user, scopes=scopes, issuer=ISSUER, **further)


@functools.cache
def catalog_titles() -> tuple[catalog_pb2.Title, ...]:
    """All titles of the data file."""
    return tuple(map(message, titles(rows.read(rows.packed()))[0]))


def catalog_version() -> str:
    """What the catalog calls the state that the data file gives it."""
    return hashlib.sha256(RULES.encode() + rows.packed()).hexdigest()


@functools.cache
def trained_model() -> Path:
    """The folder of a model of the whole catalog, trained once and kept for later runs."""
    folder = ROOT / ".pytest_cache" / f"streaming-model-{_trained_by()}"
    if not (folder / model.CURRENT).exists():
        arrays = training.train(catalog_titles(), {})
        model.save(folder, 1, catalog_version(), 0, arrays)
    return folder


def _trained_by() -> str:
    """Names what a model depends on, so that another one is trained when that changes."""
    own = b"".join(Path(str(each.__file__)).read_bytes() for each in (training, model))
    return hashlib.sha256(own + catalog_version().encode()).hexdigest()[:16]


async def session(*messages: pb.WatchRequest) -> AsyncIterator[pb.WatchRequest]:
    """The messages of a session, one after the other."""
    for each in messages:
        yield each


def opening(profile_id: str) -> pb.WatchRequest:
    """The message that opens a session."""
    return pb.WatchRequest(open=pb.OpenSession(profile_id=profile_id))


def event(title_id: str, event_id: str = "", **kind: Any) -> pb.WatchRequest:
    """A message with an event; `kind` is the member of the oneof, or `event_time` beside it."""
    named = event_id or str(uuid.uuid4())
    return pb.WatchRequest(event=pb.PlaybackEvent(event_id=named, title_id=title_id, **kind))
