"""Meshpact: contracts."""
