"""Meshpact: certs."""
