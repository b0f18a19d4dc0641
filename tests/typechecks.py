"""mypy --strict, pyright strict and ruff over a folder of generated code, as its users run them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[1]
_ROOTS: Final = [
    str(REPOSITORY / root)
    for root in ("generated", "certs", "mesh", "interceptors", "clients", "servers")
]
_RUFF: Final = "E,F,W,I,UP,B,C4,SIM,RUF,PIE,RET"


def mypy(generated: Path, scratch: Path) -> None:
    """Fails with what mypy --strict finds below a folder; `scratch` is for its files.

    Of Meshpact's own rooms only the interfaces count here; `make check` looks at the rest.
    """
    config = scratch / "mypy.ini"
    config.write_text(
        "[mypy]\nstrict = True\nexplicit_package_bases = True\nnamespace_packages = True\n"
        f"mypy_path = {':'.join([str(generated), *_ROOTS])}\n"
        "[mypy-meshpact.*]\nfollow_imports = silent\n"
    )
    cache = ["--config-file", str(config), "--cache-dir", str(scratch / "cache")]
    _run("mypy", *cache, str(generated), cwd=scratch)


def pyright(generated: Path) -> None:
    """Fails with what pyright's strict mode finds below a folder, in what Meshpact wrote."""
    config = {
        "typeCheckingMode": "strict",
        "include": [generated.name],
        "extraPaths": [str(generated), *_ROOTS],
        "ignore": ["**/*_pb2.py", "**/*_pb2.pyi"],
    }
    path = generated.parent / "pyrightconfig.json"  # takes no absolute path below `include`
    path.write_text(json.dumps(config))
    report = ["--project", str(path), "--pythonpath", sys.executable, "--outputjson"]
    output = json.loads(_run("pyright", *report, cwd=generated.parent))
    assert output["summary"]["filesAnalyzed"] >= len(list(generated.rglob("*_mesh.py")))


def ruff(generated: Path) -> None:
    """Fails with what ruff finds in the generated modules, or would lay out in another way."""
    plain = ["--isolated", "--line-length", "100", "--no-cache"]
    modules = list(map(str, generated.rglob("*_mesh.py")))
    ours = {path.name.removesuffix(".py") for path in generated.iterdir()} - {"google"}
    known = f"lint.isort.known-first-party={json.dumps(['meshpact', *sorted(ours)])}"
    _run("ruff", "format", "--diff", *plain, *modules, cwd=REPOSITORY)
    _run("ruff", "check", *plain, "--select", _RUFF, "--config", known, *modules, cwd=REPOSITORY)


def _run(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return done.stdout
