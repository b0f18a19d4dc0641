"""Systems: the parts of a mesh that `meshpact up` can start by themselves."""

import os
from pathlib import Path

import pytest

from upmesh import PAIR, Up, meshpact, write_mesh

SYSTEMS = PAIR + (
    "systems:\n"
    "  first: {services: [alpha]}\n"
    "  second: {services: [beta], driver: true}\n"
    "driver: {run: 'toy:run', identity: caller}\n"
)
TOY = """\
import demoservice

async def create(context):
    return [demoservice.Demo()]

async def run(context, until):
    context.report({"driven": 1})
    (context.root / "driven").open("w").close()
    await until.wait()
"""


@pytest.mark.parametrize(
    ("options", "services", "driven"),
    [
        ((), {"alpha"}, False),
        (("--system", "first"), {"alpha"}, False),
        (("--system", "second"), {"beta"}, True),
        (("--system", "first", "--system", "second"), {"alpha", "beta"}, True),
        (("--system", "all"), {"alpha", "beta"}, True),
    ],
)
def test_only_the_services_of_the_systems_asked_for_are_started(
    tmp_path: Path, options: tuple[str, ...], services: set[str], driven: bool
) -> None:
    write_mesh(tmp_path, SYSTEMS, TOY)
    os.mkfifo(tmp_path / "driven")
    with Up(tmp_path, *options).ready() as mesh:
        assert mesh.running.services.keys() == services
        if driven:
            (tmp_path / "driven").read_text()  # the driver is there
        assert "call demo.v1.DemoService/Echo" in mesh.words
        code, report = mesh.end()
    assert code == 0, mesh.words
    assert ("driven" in report) is driven


def test_an_example_of_a_system_that_does_not_run_is_not_shown(tmp_path: Path) -> None:
    toy = TOY.replace(
        "    return [demoservice.Demo()]",
        '    return [demoservice.Demo()] if context.service == "alpha" else []',
    )
    write_mesh(tmp_path, SYSTEMS, toy)
    done = meshpact(tmp_path, "up", "--for", "0", "--system", "second")
    assert done.returncode == 0, done.stderr
    assert "ready after" in done.stdout
    assert "DemoService/Echo" not in done.stdout


def test_roles_of_systems_that_do_not_run_are_no_slip_of_the_pen(tmp_path: Path) -> None:
    text = SYSTEMS.replace("roles:\n", "roles:\n  other.reader: {workloads: [caller]}\n")
    write_mesh(tmp_path, text, TOY)
    assert meshpact(tmp_path, "up", "--for", "0", "--system", "first").returncode == 0
    refused = meshpact(tmp_path, "up", "--for", "0", "--system", "all")
    assert refused.returncode == 2
    assert "roles.other.reader" in refused.stderr


def test_an_unknown_system_is_refused_with_those_there_are(tmp_path: Path) -> None:
    write_mesh(tmp_path, SYSTEMS, TOY)
    refused = meshpact(tmp_path, "up", "--system", "secnd")
    assert refused.returncode == 2
    assert "there is no system 'secnd'; allowed: first, second, all" in refused.stderr
    assert "Did you mean second?" in refused.stderr


@pytest.mark.parametrize(
    ("systems", "words"),
    [
        ("{first: {services: [alfa]}}", "Did you mean alpha?"),
        ("{first: {services: [caller]}}", "caller only calls"),
        ("{first: {services: []}}", "an empty list"),
        ("{first: {services: [alpha], driver: true}}", "there is no driver"),
        ("{first: {services: [alpha], driver: 1}}", "true or false"),
    ],
)
def test_faulty_systems_are_named_with_their_line(tmp_path: Path, systems: str, words: str) -> None:
    write_mesh(tmp_path, f"{PAIR}systems: {systems}\n", TOY)
    refused = meshpact(tmp_path, "up")
    assert refused.returncode == 2
    assert words in refused.stderr
    assert "systems.first" in refused.stderr
