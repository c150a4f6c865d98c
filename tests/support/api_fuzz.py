"""schemathesis against a served OpenAPI document."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

PROGRAM = shutil.which("schemathesis", path=Path(sys.executable).parent)
MISSING = "schemathesis is not installed (pip install schemathesis)"


def run_schemathesis(config: str, url: str, token: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Ask each call of the document at `url` (that of the server) some hundred times; the exit status says whether all held."""
    file = folder / "schemathesis.toml"
    file.write_text(config, encoding="utf-8")
    command = [
        str(PROGRAM),
        "--config-file",
        str(file),
        "run",
        url + "api/v1/openapi.json",
        "--header",
        f"Authorization: Bearer {token}",
        "--phases",
        "examples,coverage,fuzzing",
        "--max-examples",
        "60",
        "--seed",
        "6",
        "--generation-database",
        "none",
        "--no-color",
        "--suppress-health-check",
        "all",
        "--request-timeout",
        "20",
    ]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=850, check=False)
