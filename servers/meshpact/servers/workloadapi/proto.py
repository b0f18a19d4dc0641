"""The messages of the Workload API: the one door to a private module of the `spiffe` package.

Its descriptors cannot be generated a second time: one process has room for one `X509SVIDRequest`
of no package. Hence the upper bound in pyproject.toml, and a test.
"""

from __future__ import annotations

from typing import Final

from spiffe._proto import workload_pb2 as _messages  # pyright: ignore[reportPrivateUsage]

SERVICE: Final = "SpiffeWorkloadAPI"

X509SVID = _messages.X509SVID
X509SVIDRequest = _messages.X509SVIDRequest
X509SVIDResponse = _messages.X509SVIDResponse
X509BundlesRequest = _messages.X509BundlesRequest
X509BundlesResponse = _messages.X509BundlesResponse
JWTSVID = _messages.JWTSVID
JWTSVIDRequest = _messages.JWTSVIDRequest
JWTSVIDResponse = _messages.JWTSVIDResponse
JWTBundlesRequest = _messages.JWTBundlesRequest
JWTBundlesResponse = _messages.JWTBundlesResponse
ValidateJWTSVIDRequest = _messages.ValidateJWTSVIDRequest
ValidateJWTSVIDResponse = _messages.ValidateJWTSVIDResponse
