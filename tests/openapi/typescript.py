#!/usr/bin/env python3
"""Usage: typescript.py PROGRAM

Makes a typed client of the document with openapi-typescript, compiles client.ts against it, and runs that against the
service. Is skipped (exit code 77) where tests/openapi/tools is not installed.
"""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import node_tools
from document import write_document

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import harness  # noqa: E402


def run(*command, cwd):
    result = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}:\n{result.stdout}\n{result.stderr}")
    print(result.stdout.strip())


def main():
    node = shutil.which("node")
    if node is None:
        node_tools.skip("node")
    for name in ("openapi-typescript", "tsc"):
        if not (node_tools.MODULES / ".bin" / name).exists():
            node_tools.skip(name)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "node_modules").symlink_to(node_tools.MODULES)
        (folder / "package.json").write_text('{"type":"module"}')
        shutil.copy(HERE / "client.ts", folder)
        write_document(sys.argv[1], str(folder / "openapi.json"))
        run(node_tools.find("openapi-typescript"), "openapi.json", "-o", "schema.d.ts",
            "--default-non-nullable=false", cwd=folder)  # what has a default may be left out
        run(node_tools.find("tsc"), "--strict", "--noUncheckedIndexedAccess", "--module", "nodenext", "--target", "es2022",
            "--skipLibCheck", "--types", "node", "--outDir", ".", "client.ts", cwd=folder)
        service = harness.Service(folder, program=os.path.abspath(sys.argv[1]))
        try:
            run(node, "client.js", "http://{}:{}".format(*service.address), cwd=folder)
        finally:
            service.stop()
            service.destroy()


main()
