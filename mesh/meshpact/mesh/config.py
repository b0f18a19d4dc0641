"""Reads mesh.yaml: `load` gives the mesh, or every fault of the file with its line."""

from __future__ import annotations

from pathlib import Path

from meshpact.mesh.model import Driver as Driver
from meshpact.mesh.model import Example as Example
from meshpact.mesh.model import Issuer as Issuer
from meshpact.mesh.model import Limits as Limits
from meshpact.mesh.model import MeshConfig as MeshConfig
from meshpact.mesh.model import Mode as Mode
from meshpact.mesh.model import NetworkLists as NetworkLists
from meshpact.mesh.model import Role as Role
from meshpact.mesh.model import Service as Service
from meshpact.mesh.model import System as System
from meshpact.mesh.model import Telemetry as Telemetry
from meshpact.mesh.model import TokenType as TokenType
from meshpact.mesh.model import Web as Web
from meshpact.mesh.problems import MeshFileError as MeshFileError
from meshpact.mesh.reader import read
from meshpact.mesh.rules import check
from meshpact.mesh.tree import read_tree


def load(path: Path | str) -> MeshConfig:
    """The mesh that a file describes. MeshFileError lists every fault found."""
    tree = read_tree(Path(path))
    config = read(tree, MeshConfig)
    if config is not None:
        config = check(config, tree)
    tree.raise_problems()
    assert config is not None, "a file without problems has a mesh"
    return config
