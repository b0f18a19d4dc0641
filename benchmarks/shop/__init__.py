"""What the retail reference is measured by: the whole mesh as processes, on the real orders."""
