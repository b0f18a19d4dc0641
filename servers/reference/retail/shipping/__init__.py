"""Parcels: how orders leave the warehouse."""
