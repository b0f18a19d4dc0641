"""acme.identity: the authorization server of streaming, marketing and support, and its gRPC side.

Browsers see OAuth 2.0 (`endpoints`, `pages`), workloads see acme.identity.v1 (`profileservice`,
`sessionservice`, `introspectionservice`). Both stand on the same records: `accounts`, `grants`,
`usersessions`, `profiles`.
"""
