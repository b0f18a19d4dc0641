"""The SPIFFE Workload API that `meshpact up` serves to the processes that it starts.

https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Workload_API.md. A caller is known by
what the kernel says of its socket, never by what it says itself.

`place` says where the socket lies and `attestation` who calls; the supervisor uses these two. The
rest runs in a process of its own, `serving`: `front` owns the public socket and passes bytes on to
the gRPC server of `servicer`, which answers by `messages`.
"""
