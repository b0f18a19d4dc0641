"""Keeps the model: loads the last one, and has a new one trained when there is reason to.

Training is a process of its own (`training`); here is only waiting, and the swap of one reference
when the new model has been loaded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

from acme.streaming.catalog.v1 import catalog_pb2 as pb
from acme.streaming.catalog.v1.catalog_mesh import CatalogServiceClient
from meshpact.clients import CallError
from meshpact.servers.storage.database import Database, StorageUnavailable
from reference.streaming.recommendations import history, trainingdata
from reference.streaming.recommendations.model import Model, ModelError, load

log = logging.getLogger(__name__)

LOOK: Final = 60.0
"""Seconds between two looks whether a new model is due."""
GROWN: Final = 50
"""Further finished or liked titles that make one due, and a tenth of all beside them."""
SLOWEST: Final = 300.0
"""Seconds after which a training that goes on is given up."""
AGAIN: Final = (0.5, 1.0, 2.0, 5.0, 15.0)
"""Seconds until the next try after one that failed, then after the next ones."""


class TrainingFailed(Exception):
    """No model came out; says why."""


class Keeper:
    """The model that serves now: `model`, None while there is none yet."""

    def __init__(self, folder: Path, catalog: CatalogServiceClient, database: Database) -> None:
        self.model: Model | None = None
        self._folder = folder
        self._catalog = catalog
        self._database = database
        self._task: asyncio.Task[None] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._due = asyncio.Event()

    async def start(self) -> None:
        """Loads the last model, if it is good, and goes on in the background."""
        try:
            self.model = await asyncio.to_thread(load, self._folder)
        except ModelError as error:
            log.warning("the last model is not used, another one is trained: %s", error)
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Ends a training that goes on."""
        if self._process is not None:
            self._process.kill()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def look_now(self) -> None:
        """Looks at once whether a new model is due."""
        self._due.set()

    async def _run(self) -> None:
        failed = 0
        while True:
            try:
                await self._refresh()
                failed, wait = 0, LOOK
            except (CallError, StorageUnavailable, TrainingFailed, ModelError, OSError) as error:
                wait = AGAIN[min(failed, len(AGAIN) - 1)]
                failed += 1
                level = logging.WARNING if failed == len(AGAIN) else logging.DEBUG
                log.log(level, "no new model yet: %s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), wait)
            self._due.clear()

    async def _refresh(self) -> None:
        now = time.time_ns() // 1000
        await self._database.write(lambda connection: history.prune(connection, now))
        popularity = await self._database.read(history.popularity)
        model = self.model
        known = "" if model is None or _grown(model, popularity) else model.catalog
        request = pb.ExportTitlesRequest(known_version=known)
        with tempfile.TemporaryFile() as file:
            file.write(trainingdata.head(popularity))
            catalog = ""
            async for part in self._catalog.export_titles(request):
                catalog = part.catalog_version
                await asyncio.to_thread(file.write, trainingdata.body(part.titles))
            if not catalog:
                return
            file.seek(0)
            await asyncio.to_thread(self._train, file, catalog)
        self.model = model = await asyncio.to_thread(load, self._folder)
        if model is not None:
            log.info("model %s recommends now: %d titles", model.version, len(model.ids))

    def _train(self, file: IO[bytes], catalog: str) -> None:
        number = 1 if self.model is None else self.model.number + 1
        module = "reference.streaming.recommendations.training"
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", module, str(self._folder), str(number), catalog],
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            _, said = self._process.communicate(timeout=SLOWEST)
        except subprocess.TimeoutExpired:
            raise TrainingFailed(f"it took longer than {SLOWEST:g} s") from None
        finally:
            self._process.kill()
            self._process.wait()
        if self._process.returncode:
            lines = said.decode(errors="replace").strip().splitlines()
            why = lines[-1] if lines else f"it ended with {self._process.returncode}"
            raise TrainingFailed(why)


def _grown(model: Model, popularity: Mapping[str, int]) -> bool:
    more = sum(popularity.values()) - model.popularity
    return abs(more) >= GROWN + model.popularity // 10
