"""Steps of rotations in any order, and certificates issued in between: nobody is ever cut off."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from meshpact.certs.ca import LocalCA, write_svid
from meshpact.certs.doctor import examine_state
from meshpact.certs.rotation import RotationRefused
from meshpact.certs.spiffe import SpiffeId
from rotationworld import DOMAIN, World

NAMES = ("inventory", "orders")

names = st.sampled_from(NAMES)


class Rotating(RuleBasedStateMachine):
    """A mesh whose CA and identities are changed at random, never by force."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="meshpact-rotation-"))
        self.world = World(self.folder)
        self.folder.chmod(0o700)
        self.world.issue(*NAMES)
        self.stale = LocalCA.load(self.folder / "ca")

    def take(self, step: str) -> None:
        before = self.world.rotation.status()
        try:
            after = getattr(self.world.rotation, step)()
        except RotationRefused as refusal:
            assert refusal.blockers == before.blockers or refusal.rule == "order"
            assert self.world.rotation.status() == before
        else:
            assert after.generation in (before.generation, before.generation + 1)

    @rule()
    def prepare(self) -> None:
        """Step 1."""
        self.take("prepare")

    @rule()
    def activate(self) -> None:
        """Step 2."""
        self.take("activate")

    @rule()
    def retire(self) -> None:
        """Step 3."""
        self.take("retire")

    @rule(name=names)
    def issue(self, name: str) -> None:
        """A process that reads the CA anew issues."""
        self.world.issue(name)

    @rule(name=names)
    def issue_by_one_that_looked_long_ago(self, name: str) -> None:
        """A process that loaded the CA before the last steps issues."""
        svid = self.stale.issue(SpiffeId.for_service(DOMAIN, name))
        write_svid(self.world.identity(name), svid)

    @invariant()
    def every_workload_is_trusted(self) -> None:
        """What matters."""
        assert self.world.works(*NAMES)

    @invariant()
    def nothing_on_disk_is_amiss(self) -> None:
        """The doctor agrees."""
        root = self.folder
        assert examine_state(root, root / "ca", root / "trust", root / "identities") == []

    def teardown(self) -> None:
        """Removes the files."""
        shutil.rmtree(self.folder)


TestRotating = Rotating.TestCase
TestRotating.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
