"""`meshpact up`: a whole mesh on one machine, one process a service, watched by one supervisor."""
