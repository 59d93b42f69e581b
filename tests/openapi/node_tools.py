"""The programs of tests/openapi/tools, where `npm ci` has put them; or those in the PATH."""
import os
import shutil
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "tools"
MODULES = FOLDER / "node_modules"


def find(name):
    local = MODULES / ".bin" / name
    return str(local) if local.exists() else shutil.which(name)


def skip(missing):
    print(f"skipped: {missing} is not installed (npm ci --ignore-scripts --prefix {os.path.relpath(FOLDER)})")
    sys.exit(77)
