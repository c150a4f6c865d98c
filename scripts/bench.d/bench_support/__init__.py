"""What the benchmarks share, and the parts of the larger ones. Importing it makes `tests` importable from any folder."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
