"""sqlite-utils, without numpy: it brings that in only to store numpy's own numbers, which the catalog never does, and a
recorder would carry 6 MB and 0.1 s of start for nothing.
"""

from __future__ import annotations

import sys

_loaded = sys.modules.get("numpy")
if _loaded is None:
    # None makes `import numpy` fail as if it were not installed, which sqlite-utils takes in its stride
    sys.modules["numpy"] = None  # type: ignore[assignment]
try:
    from sqlite_utils import Database, Migrations
finally:
    if _loaded is None:
        del sys.modules["numpy"]

__all__ = ["Database", "Migrations"]
