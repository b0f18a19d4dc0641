"""The rotation of a CA in three steps, none of which cuts off a live workload.

`prepare`: a new root enters the trust bundle. `activate`: it signs. `retire`: the old root leaves.
Between the steps every workload takes up the new bundle, and after `activate` a new certificate;
each step is refused until what lies on disk proves that they have. A step that a crash cut short is
finished by taking it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import msgspec

from meshpact.certs import authority, keys
from meshpact.certs.authority import Loaded
from meshpact.certs.ca import LocalCA, sync_bundle
from meshpact.certs.castate import Authority, Phase, Store
from meshpact.certs.cutoff import Blocker, Places, before_activate, before_retire
from meshpact.certs.cutoff import Settling as Settling
from meshpact.certs.errors import CaError
from meshpact.certs.issuance import Entry, Event
from meshpact.certs.keys import KeyType

SETTLE: Final = timedelta(seconds=10)
"""How long a running workload takes at most to take up what was written for it."""
SETTLING: Final = Settling(SETTLE)

Step = Literal["prepare", "activate", "retire"]

_NEXT: Final[dict[Phase, Step]] = {
    "steady": "prepare",
    "prepared": "activate",
    "activated": "retire",
}
_DONE: Final[dict[Step, Phase]] = {
    "prepare": "prepared",
    "activate": "activated",
    "retire": "steady",
}
_EVENTS: Final[dict[Step, Event]] = {
    "prepare": "prepared",
    "activate": "activated",
    "retire": "retired",
}
_POLL: Final = 0.2
_SHOWN: Final = 12


class RotationRefused(CaError):
    """A step of a rotation was not taken. `blockers` says who would be cut off; none: wrong order.

    `rule` is `cut-off` or `order`.
    """

    def __init__(self, rule: str, message: str, blockers: Sequence[Blocker] = ()) -> None:
        super().__init__(rule, message)
        self.blockers = tuple(blockers)

    @property
    def exit_code(self) -> int:
        """How a command ends that was refused: 1 for something found, 2 for wrong use."""
        return 1 if self.rule == "cut-off" else 2

    def as_dict(self) -> dict[str, object]:
        """The refusal for JSON."""
        return {
            "refused": self.rule,
            "message": str(self),
            "blockers": msgspec.to_builtins(self.blockers),
        }


@dataclass(frozen=True, slots=True)
class Status:
    """Where a rotation is. Roots are named by their SHA-256; empty: there is none."""

    phase: Phase
    generation: int
    changed: datetime
    """When the last step was taken."""
    active: str
    """The root that signs."""
    next: str
    """The root that is prepared."""
    previous: str
    """The root that is to be retired."""
    next_step: Step
    blockers: tuple[Blocker, ...]
    """Who the next step would cut off now."""

    def as_dict(self) -> dict[str, object]:
        """The status for JSON."""
        found: dict[str, object] = msgspec.to_builtins(self)
        return found

    @property
    def summary(self) -> str:
        """Where the rotation is and what comes next, without whom that would cut off."""
        told = {
            "steady": f"No rotation is under way: the root {self.active[:_SHOWN]} signs.",
            "prepared": f"Prepared: the root {self.active[:_SHOWN]} signs, and "
            f"{self.next[:_SHOWN]} is in the trust bundle.",
            "activated": f"Activated: the root {self.active[:_SHOWN]} signs, and "
            f"{self.previous[:_SHOWN]} is still trusted.\nWorkloads need new certificates: "
            "meshpact up issues them by itself, else meshpact certs issue SERVICE.",
        }
        if self.phase == "steady":
            return told["steady"]
        waiting = len({each.who for each in self.blockers})
        ready = (
            f"when {waiting} of the live workloads are ready (meshpact certs rotate status "
            "lists them; --wait 1m waits)"
            if waiting
            else "nobody would be cut off"
        )
        return f"{told[self.phase]}\nNext: meshpact certs rotate {self.next_step}: {ready}."

    def __str__(self) -> str:
        return "\n".join([self.summary, *(f"  {each}" for each in self.blockers)])


class Rotation:
    """Takes the steps on one CA and the files of those that trust it.

    `trust` is the directory of trust bundles and `identities` that of the workloads' directories,
    as `meshpact up` keeps them. `bundles` are further PEM files that must hold the new root before
    it signs: copies of the trust bundle elsewhere. `settling` says how long what was replaced may
    be in use. The new root's key is encrypted when there is a passphrase.
    """

    def __init__(
        self,
        directory: Path,
        *,
        trust: Path,
        identities: Path,
        bundles: Sequence[Path] = (),
        passphrase: bytes | None = None,
        settling: Settling = SETTLING,
    ) -> None:
        self._ca = LocalCA.load(directory, passphrase=passphrase)
        self._store = Store(directory, passphrase)
        self._places = Places(self._ca.trust_domain, trust, identities, tuple(bundles))
        self._settling = settling

    def status(self, now: datetime | None = None) -> Status:
        """Where the rotation is, and who the next step would cut off at `now`."""
        loaded = authority.load(self._store)
        state = loaded.state
        return Status(
            phase=state.phase,
            generation=state.generation,
            changed=state.changed,
            active=state.active.root,
            next=state.next.root if state.next else "",
            previous=state.previous.root if state.previous else "",
            next_step=_NEXT[state.phase],
            blockers=tuple(self._blockers(_NEXT[state.phase], loaded, now or datetime.now(UTC))),
        )

    def prepare(self, key_type: KeyType | None = None) -> Status:
        """Makes a new root and lets it enter the trust bundle; the old one goes on signing.

        `key_type` defaults to the kind of the old one. Cuts off nobody, so it is refused only while
        a rotation is activated. CaError `passphrase` when the old root's key is encrypted and
        cannot be opened: the new one must not lie open where the old one did not.
        """
        with self._store.lock():
            loaded = self._in_order("prepare")
            state = loaded.state
            self._store.sweep(state)
            if state.phase == "steady":
                self._store.root_signer(state.active)
                kind = key_type or keys.kind_of(loaded.intermediate.key)
                folder = self._store.directory / _following_name(state.active)
                now = datetime.now(UTC)
                made = authority.make(self._store, folder, self._ca.trust_domain, kind, now)
                self._log("prepare", made.root)
                self._store.commit(authority.following(state, next=made, changed=now))
        return self._finish()

    def activate(self, *, force: bool = False) -> Status:
        """Lets the new root sign; both stay in the trust bundle.

        RotationRefused while a live workload may not trust the new root yet; `force` takes the step
        nevertheless, and the log says whom it may have cut off.
        """
        self._finish()
        with self._store.lock():
            loaded = self._in_order("activate")
            state = loaded.state
            self._store.sweep(state)
            if state.next is not None:
                forced = self._check("activate", loaded, force)
                self._log("activate", state.next.root, forced)
                self._store.commit(
                    authority.following(
                        state,
                        active=state.next,
                        next=None,
                        previous=state.active,
                        changed=datetime.now(UTC),
                    )
                )
        return self._finish()

    def retire(self, *, force: bool = False) -> Status:
        """Takes the old root out of the trust bundle and removes its files, its key included.

        RotationRefused while a live workload holds a certificate of the old root; `force` takes the
        step nevertheless, and the log says whom it may have cut off.
        """
        with self._store.lock():
            loaded = self._in_order("retire")
            state = loaded.state
            if state.previous is not None:
                forced = self._check("retire", loaded, force)
                self._log("retire", state.previous.root, forced)
                state = authority.following(
                    state,
                    previous=None,
                    retired=(*state.retired, state.previous.root),
                    changed=datetime.now(UTC),
                )
                self._store.commit(state)
            self._store.sweep(state)
        return self._finish()

    def when_safe(self, step: Callable[[], Status], seconds: float) -> Status:
        """Takes a step as soon as it cuts nobody off; RotationRefused when that takes too long."""
        end = time.monotonic() + seconds
        while True:
            try:
                return step()
            except RotationRefused as refusal:
                if not refusal.blockers or time.monotonic() >= end:
                    raise
            time.sleep(_POLL)

    def _in_order(self, step: Step) -> Loaded:
        """What the CA holds, if the step is the next one or was the last one."""
        loaded = authority.load(self._store)
        state = loaded.state
        repeated = _DONE[step] == state.phase and (state.phase != "steady" or bool(state.retired))
        if repeated or _NEXT[state.phase] == step:
            return loaded
        told = {
            "steady": "no rotation is under way",
            "prepared": "a new root is prepared and does not sign yet",
            "activated": "a new root signs, and the old one is still trusted",
        }
        raise RotationRefused(
            "order",
            f"{step} is not the next step: {told[state.phase]}. Next: meshpact certs rotate "
            f"{_NEXT[state.phase]}",
        )

    def _check(self, step: Step, loaded: Loaded, force: bool) -> tuple[str, ...]:
        blockers = list(self._blockers(step, loaded, datetime.now(UTC)))
        if not blockers or force:
            return tuple(sorted({each.who for each in blockers}))
        listed = "\n".join(f"  {each}" for each in blockers)
        raise RotationRefused(
            "cut-off",
            f"{step} is refused: it would cut off {len({each.who for each in blockers})} of the "
            f"live workloads.\n{listed}\nTake the step again when they are ready; --force takes it "
            "now, and those workloads fail until they have what they lack",
            blockers,
        )

    def _blockers(self, step: Step, loaded: Loaded, now: datetime) -> Iterable[Blocker]:
        if step == "activate" and loaded.state.next is not None:
            yield from before_activate(
                self._places, self._store.log.live(now), loaded, now, self._settling
            )
        if step == "retire" and loaded.state.previous is not None:
            yield from before_retire(
                self._places, self._store.log.live(now), loaded, now, self._settling
            )

    def _log(self, step: Step, root: str, forced: tuple[str, ...] = ()) -> None:
        entry = Entry(v=1, time=datetime.now(UTC), event=_EVENTS[step], root=root, forced=forced)
        self._store.log.append(entry)

    def _finish(self) -> Status:
        """Lets the trust bundle hold what counts now."""
        self._ca.refresh()
        sync_bundle(self._places.trust, self._ca)
        return self.status()


def _following_name(active: Authority) -> str:
    return str(int(active.directory) + 1) if active.directory.isdecimal() else "2"
