"""What tests of guarded services need, for Meshpact's users and for Meshpact itself.

- `mesh.LocalMesh`: the services of a mesh.yaml in one process; `blocking.BlockingMesh` for tests
  without asyncio, `plugin` the fixtures for pytest.
- `clock.Clock`, `faults.Faults`: time that tests move, and what goes wrong by itself elsewhere.
- `hosting.Workbench`: a trust domain in memory, guards and servers on it, callers of all kinds.
- `authority.Authority`: certificates, also such as no honest CA issues.
- `tokens.TokenIssuer`: access tokens, also such as no honest issuer signs.
- `roles.StaticRoles`: who holds which role, said in code.
- `rawwire.RawConnection`, `rawanswer.Answer`: a raw HTTP/2 client and what it was answered.
- `loopthread.LoopThread`: an event loop for blocking tests.
"""
