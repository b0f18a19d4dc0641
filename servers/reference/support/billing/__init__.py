"""Billing: an invoice for every order, what was credited on it, and what was refunded."""
