"""Where a process gets its identity from, and how it learns of a new one: the door to all of it."""

from __future__ import annotations

from meshpact.certs.errors import SourceError as SourceError
from meshpact.certs.filesource import CERTIFICATE_FILE as CERTIFICATE_FILE
from meshpact.certs.filesource import KEY_FILE as KEY_FILE
from meshpact.certs.filesource import FileSource as FileSource
from meshpact.certs.identity import FixedSource as FixedSource
from meshpact.certs.identity import Identity as Identity
from meshpact.certs.identity import IdentitySource as IdentitySource
from meshpact.certs.mountedsource import MountedSource as MountedSource
