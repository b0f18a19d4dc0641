"""Identities of workloads: SPIFFE IDs, trust bundles, the local CA, sources, TLS credentials."""
