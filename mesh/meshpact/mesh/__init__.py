"""Meshpact: mesh."""
