"""OpenTelemetry's contrib interceptor, for comparison only: Meshpact does not depend on it.

It is installed into a folder of its own, outside the project and its environment.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from opentelemetry.sdk.trace import TracerProvider

from overhead.chain import Telemetry

_WRAPT: Final = "wrapt==2.5.2"


class NotInstallable(Exception):
    """pip could not install the package here; the text says why."""


def install() -> Path:
    """The folder with the package of the same release as our opentelemetry-sdk.

    pip puts it there once. Raises NotInstallable.
    """
    release = metadata.version("opentelemetry-semantic-conventions")
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = caches / "meshpact" / f"otel-contrib-{release}"
    done = folder / ".done"
    if done.exists():
        return folder
    asked = [f"opentelemetry-instrumentation{part}=={release}" for part in ("", "-grpc")]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        ended = subprocess.run(
            [*pip, "--no-deps", "--upgrade", "--target", str(folder), *asked, _WRAPT],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotInstallable("pip took more than a minute") from None
    if ended.returncode:
        raise NotInstallable((ended.stdout.strip().splitlines() or ["pip said nothing"])[-1])
    done.touch()
    return folder


def interceptor(folder: Path, telemetry: Telemetry) -> Any:
    """The interceptor on a plain provider with the same batch processor as ours."""
    sys.path.append(str(folder))
    package = importlib.import_module("opentelemetry.instrumentation.grpc")
    provider = TracerProvider()
    provider.add_span_processor(telemetry.processor)
    return package.aio_server_interceptor(tracer_provider=provider)
