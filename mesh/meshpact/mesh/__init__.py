"""One mesh as its files describe it: mesh.yaml, role bindings, networks, overlay, its state."""
