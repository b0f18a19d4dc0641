"""What many role bindings cost: the decision on a call, and a reload while calls run."""
