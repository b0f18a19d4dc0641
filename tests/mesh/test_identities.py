"""What the supervisor keeps on disk for its processes: identities in time, and bundles that follow
the CA."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

import upmesh
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.ca import LocalCA, write_bundle, write_svid
from meshpact.certs.errors import CertsError
from meshpact.certs.rotation import Rotation, Settling
from meshpact.certs.source import FileSource, Identity
from meshpact.mesh.config import MeshConfig, load
from meshpact.mesh.problems import MeshFileError
from meshpact.mesh.state import State
from meshpact.servers.supervisor.identities import Identities
from meshpact.testing.authority import Authority

NOW = datetime.timedelta(0)
ALL = ["alpha", "caller", "stranger"]


class Kept:
    """The identities of a mesh on disk, kept as `up` does, at a time that a test sets."""

    def __init__(self, home: Path, text: str = upmesh.MESH) -> None:
        self.config: MeshConfig = load(upmesh.write_mesh(home, text))
        self.state = State(home / ".meshpact")
        self.said: list[str] = []
        self.late = 0.0
        self.identities = Identities(self.config, self.state, self.said.append, wall=self.wall)
        self.identities.prepare()

    def wall(self) -> float:
        return datetime.datetime.now(datetime.UTC).timestamp() + self.late

    def source(self, name: str = "alpha") -> FileSource:
        return FileSource(self.state.identity(name), self.state.trust)

    def identity(self, name: str = "alpha") -> Identity:
        return self.source(name).current()

    def roots(self) -> set[int]:
        bundle = self.identity().bundles["demo.example"]
        return {root.serial_number for root in bundle.roots}

    @property
    def rotation(self) -> Rotation:
        return Rotation(
            self.state.ca,
            trust=self.state.trust,
            identities=self.state.identities,
            settling=Settling(NOW),
        )


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_identities_are_issued_anew_at_half_of_their_lifetime(kept: Kept) -> None:
    before = kept.identity()
    assert kept.identities.follow() == []
    kept.late = 29 * 60
    assert kept.identities.follow() == []
    kept.late = 31 * 60
    assert kept.identities.follow() == ALL
    assert kept.identity().svid.serial != before.svid.serial
    assert kept.said == []


def test_identities_live_as_long_as_mesh_yaml_says(tmp_path: Path) -> None:
    kept = Kept(tmp_path, upmesh.MESH + "identity: {lifetime: 10m}\n")
    assert 590 < kept.identity().svid.not_after - kept.wall() <= 600


@pytest.mark.parametrize("lifetime", ["4s", "25h"])
def test_a_lifetime_that_is_too_short_or_too_long_is_refused(tmp_path: Path, lifetime: str) -> None:
    path = upmesh.write_mesh(tmp_path, upmesh.MESH + f"identity: {{lifetime: {lifetime}}}\n")
    with pytest.raises(MeshFileError, match=r"identity\.lifetime"):
        load(path)


def test_an_identity_that_lives_too_long_is_replaced(kept: Kept) -> None:
    svid = LocalCA.load(kept.state.ca).issue(
        kept.config.service_id("alpha"), lifetime=datetime.timedelta(hours=24)
    )
    write_svid(kept.state.identity("alpha"), svid)
    assert kept.identities.renew() == ["alpha"]


def test_an_identity_of_another_workload_is_replaced(kept: Kept) -> None:
    other = LocalCA.load(kept.state.ca).issue(kept.config.service_id("caller"))
    write_svid(kept.state.identity("alpha"), other)
    assert kept.identities.renew() == ["alpha"]
    assert kept.identity().svid.id == kept.config.service_id("alpha")


def test_an_identity_that_is_removed_is_issued_anew_within_a_minute(kept: Kept) -> None:
    (kept.state.identity("alpha") / "cert.pem").unlink()
    assert kept.identities.follow() == []
    kept.late = 61
    assert kept.identities.follow() == ["alpha"]
    assert "the identity of alpha was unusable" in kept.said[0]


def test_an_identity_whose_key_others_could_read_is_issued_anew(kept: Kept) -> None:
    key = kept.state.identity("alpha") / "key.pem"
    before = key.read_bytes()
    key.chmod(0o644)
    assert kept.identities.renew() == ["alpha"]
    assert key.read_bytes() != before
    assert key.stat().st_mode & 0o777 == 0o600
    assert kept.said == ["others could read or write the key of alpha; it is issued anew"]


def test_a_rotation_of_the_ca_is_followed_step_by_step(kept: Kept) -> None:
    old = kept.roots()
    kept.rotation.prepare()
    assert kept.identities.follow() == []
    assert old < kept.roots()
    kept.rotation.activate(force=True)
    assert kept.identities.follow() == ALL
    assert kept.identities.follow() == []
    kept.rotation.retire(force=True)
    assert kept.identities.follow() == []
    assert len(kept.roots()) == 1
    assert not old & kept.roots()


def test_a_bundle_that_lags_behind_the_ca_is_written_before_leaves(kept: Kept) -> None:
    bundle = kept.state.trust / "demo.example.pem"
    before = bundle.read_bytes()
    kept.rotation.prepare()
    bundle.write_bytes(before)  # as if the step had been cut short
    kept.identities.follow()
    assert bundle.read_bytes() != before
    assert kept.said == ["the trust bundle follows the CA"]


def test_bundles_of_other_domains_are_left_alone(kept: Kept) -> None:
    partner = TrustBundle.from_pem("partner.example", Authority("partner.example").roots_pem)
    path = write_bundle(kept.state.trust, partner)
    before = path.stat().st_mtime_ns, path.read_bytes()
    kept.rotation.prepare()
    kept.identities.follow()
    kept.rotation.activate(force=True)
    kept.identities.follow()
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


def test_what_could_not_be_written_is_tried_again_at_the_next_look(kept: Kept) -> None:
    directory = kept.state.identity("alpha")
    aside = directory.rename(directory.with_name("aside"))
    directory.write_text("in the way")
    kept.late = 31 * 60
    with pytest.raises((OSError, CertsError)):
        kept.identities.follow()
    directory.unlink()
    aside.rename(directory)
    assert "alpha" in kept.identities.follow()


def test_a_broken_ca_leaves_everything_as_it_is(kept: Kept) -> None:
    file = kept.state.ca / "ca.json"
    good = file.read_bytes()
    file.write_text("{")
    with pytest.raises(CertsError):
        kept.identities.follow()
    file.write_bytes(good)
    kept.late = 31 * 60
    assert kept.identities.follow() == ALL
