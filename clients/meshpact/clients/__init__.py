"""Meshpact: clients."""
