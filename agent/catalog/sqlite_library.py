"""Import sqlite-utils without numpy.

sqlite-utils imports numpy only to store numpy's own number types, which the catalog never does. Skipping it saves each
recorder process 6 MB of memory and 0.1 s at start.
"""

from __future__ import annotations

import sys

_loaded = sys.modules.get("numpy")
if _loaded is None:
    # None makes `import numpy` fail as if it were not installed; sqlite-utils handles that
    sys.modules["numpy"] = None  # type: ignore[assignment]
try:
    from sqlite_utils import Database, Migrations
finally:
    if _loaded is None:
        del sys.modules["numpy"]

__all__ = ["Database", "Migrations"]
