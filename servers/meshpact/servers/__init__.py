"""Meshpact: servers."""
