"""The wheel: what it ships, what stays at home, and that it works where only it is installed."""

import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("certs", "cli", "clients", "contracts", "interceptors", "mesh", "servers", "testing")


def run(*argv: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        [str(part) for part in argv], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(source: Path, into: Path) -> Path:
    """The wheel of a source tree, built with the tools of this environment (nothing downloaded)."""
    pip_wheel = "-m pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir"
    run(sys.executable, *pip_wheel.split(), into, source)
    (wheel,) = into.glob("*.whl")
    return wheel


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment that holds the wheel, and borrows its dependencies.

    They come from this environment by a path line, which does not bring its editable install along.
    """
    home = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    pip_install = f"-m pip --python {python} install --quiet --no-deps --no-index --no-compile"
    run(sys.executable, *pip_install.split(), wheel)
    return python


def test_every_room_is_shipped_and_typed(wheel: Path) -> None:
    names = names_in(wheel)
    assert {f"meshpact/{room}/__init__.py" for room in ROOMS} <= names
    assert {f"meshpact/{room}/py.typed" for room in ROOMS} <= names


def test_the_policy_vocabulary_is_shipped_as_contract_and_as_messages(wheel: Path) -> None:
    folder = "meshpact/policy/v1"
    files = ("policy.proto", "policy_pb2.py", "policy_pb2.pyi", "py.typed")
    assert {f"{folder}/{file}" for file in files} <= names_in(wheel)


def test_nothing_but_the_toolkit_is_shipped(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in names_in(wheel)}
    info = {top for top in tops if top.endswith(".dist-info")}
    assert tops - info == {"meshpact"}
    assert len(info) == 1


def test_no_room_owns_the_namespace(wheel: Path) -> None:
    shared = {"meshpact/__init__.py", "meshpact/policy/__init__.py"}
    assert not shared & names_in(wheel)


def test_the_wheel_of_the_source_archive_holds_the_same_files(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path / "sdist")
    (archive,) = (tmp_path / "sdist").glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    (source,) = tmp_path.glob("meshpact-*")
    assert names_in(build(source, tmp_path / "wheel")) == names_in(wheel)


IMPORT_ALL = """
import importlib, sys
for name in sys.argv[1:]:
    found = importlib.import_module(name).__file__
    assert found.startswith(sys.prefix), f"{name} came from {found}"
"""


READ_VOCABULARY = """
from importlib.resources import files
print(files("meshpact.policy.v1").joinpath("policy.proto").read_text())
"""


def test_every_module_imports_where_only_the_wheel_is_installed(
    wheel: Path, installed: Path
) -> None:
    files = (name for name in names_in(wheel) if name.endswith(".py"))
    modules = sorted(
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in files
        if not name.endswith(("__main__.py", "/migrations/env.py"))  # alembic runs the latter
    )
    assert len(modules) > len(ROOMS)
    run(installed, "-I", "-c", IMPORT_ALL, *modules)


def test_the_vocabulary_is_found_as_a_resource(installed: Path, tmp_path: Path) -> None:
    vocabulary = run(installed, "-c", READ_VOCABULARY, cwd=tmp_path)
    assert "package meshpact.policy.v1;" in vocabulary


def test_the_command_says_its_version(installed: Path, tmp_path: Path) -> None:
    said = run(installed.with_name("meshpact"), "--version", cwd=tmp_path)
    version = run(
        installed, "-c", "from importlib.metadata import version; print(version('meshpact'))"
    )
    assert version.strip() in said


def test_the_commands_help_shows_without_a_mesh(installed: Path, tmp_path: Path) -> None:
    assert "Usage: meshpact" in run(installed.with_name("meshpact"), "--help", cwd=tmp_path)
