"""Keeps the model: loads the last one, and has a new one trained when there is reason to.

Training is a process of its own (`training`); here is only waiting, and the swap of one reference
when the new model has been loaded.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

from acme.streaming.catalog.v1 import catalog_pb2 as pb
from acme.streaming.catalog.v1.catalog_mesh import CatalogServiceClient
from meshpact.interceptors.errors import MeshpactError
from meshpact.servers.storage.database import Database
from reference.streaming.recommendations import history, trainingdata
from reference.streaming.recommendations.model import Model, ModelError, load

log = logging.getLogger(__name__)

LOOK: Final = 60.0
"""Seconds between two looks whether a new model is due."""
GROWN: Final = 50
"""Further finished or liked titles that make one due, and a tenth of all beside them."""
SLOWEST: Final = 300.0
"""Seconds after which a training that goes on is given up."""
AGAIN: Final = 0.5
AGAIN_AT_MOST: Final = 15.0
"""Seconds until the next try after one that failed, and at most after the next ones."""


class TrainingFailed(MeshpactError):
    """No model came out; says why."""


class Keeper:
    """The model that serves now: `model`, None while there is none yet."""

    def __init__(self, folder: Path, catalog: CatalogServiceClient, database: Database) -> None:
        self.model: Model | None = None
        self._folder = folder
        self._catalog = catalog
        self._database = database

    async def load(self) -> None:
        """Loads the last model, if it is good."""
        try:
            self.model = await asyncio.to_thread(load, self._folder)
        except ModelError as error:
            log.warning("the last model is not used, another one is trained: %s", error)

    async def refresh(self) -> None:
        """Has a new model trained when one is due. Raises TrainingFailed, and what the catalog
        and the database raise."""
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
            await self._trained(file, catalog)
        try:
            self.model = model = await asyncio.to_thread(load, self._folder)
        except ModelError as error:
            raise TrainingFailed(str(error)) from error
        if model is not None:
            log.info("model %s recommends now: %d titles", model.version, len(model.ids))

    async def _trained(self, file: IO[bytes], catalog: str) -> None:
        number = 1 if self.model is None else self.model.number + 1
        training = _Training(
            "reference.streaming.recommendations.training", str(self._folder), str(number), catalog
        )
        try:
            await asyncio.to_thread(training.run, file)
        finally:
            training.end()


class _Training:
    """One process that trains. `run` is for a thread, `end` ends it from any, or keeps it away."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False

    def end(self) -> None:
        """Kills it if it runs; it does not begin any more."""
        with self._lock:
            self._ended = True
            if self._process is not None:
                self._process.kill()

    def run(self, file: IO[bytes]) -> None:
        """Runs it to its end on what is in `file`. TrainingFailed."""
        with self._lock:
            if self._ended:
                return
            self._process = process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", *self._arguments],
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                stdin=file,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        try:
            _, said = process.communicate(timeout=SLOWEST)
        except subprocess.TimeoutExpired:
            raise TrainingFailed(f"it took longer than {SLOWEST:g} s") from None
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            lines = said.decode(errors="replace").strip().splitlines()
            why = lines[-1] if lines else f"it ended with {process.returncode}"
            raise TrainingFailed(why)


def _grown(model: Model, popularity: Mapping[str, int]) -> bool:
    more = sum(popularity.values()) - model.popularity
    return abs(more) >= GROWN + model.popularity // 10
