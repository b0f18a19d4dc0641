"""What contracts and mesh.yaml together let whom call: the tools behind `meshpact access`."""
