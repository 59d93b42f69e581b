"""The files of the repository."""
import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def files(*suffixes):
    """Every file of the repository, build trees and fetched packages left out."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if f not in {"build", "node_modules"} and (not f.startswith(".") or f == ".ci")]
        for name in names:
            path = Path(folder) / name
            if not suffixes or path.suffix in suffixes:
                yield path.relative_to(ROOT)


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")
