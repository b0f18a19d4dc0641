"""Support: invoices, refunds, and the portal of those who help customers."""
