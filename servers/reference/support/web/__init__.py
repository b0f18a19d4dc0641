"""The support portal: a page where agents help customers, and supervisors decide on refunds."""
