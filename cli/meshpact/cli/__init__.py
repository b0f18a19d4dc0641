"""Meshpact: cli."""
