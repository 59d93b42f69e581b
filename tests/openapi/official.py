#!/usr/bin/env python3
"""Usage: official.py PROGRAM

Validates the document that `PROGRAM openapi` prints against the schema that the OpenAPI initiative publishes, and lints
it, with whatever is installed of validate-api (@seriousme/openapi-schema-validator), redocly and spectral; is skipped
(exit code 77) without any.
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import node_tools
from document import write_document

VALIDATORS = {
    "validate-api": [],
    # Those that ask for texts that only the author of a service can write are left out.
    "redocly": ["lint", "--format=stylish", "--skip-rule=info-license", "--skip-rule=tag-description",
                "--skip-rule=no-server-example.com", "--skip-rule=operation-4xx-response"],
    "spectral": ["lint", "--fail-severity=error", "--display-only-failures", "--ruleset",
                 str(node_tools.FOLDER / "spectral.yaml")],
}


def main():
    found = {name: path for name in VALIDATORS if (path := node_tools.find(name))}
    if not found:
        node_tools.skip("neither redocly nor spectral")
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "openapi.json"
        write_document(sys.argv[1], str(path))
        for name, program in found.items():
            # No news of other versions, no telemetry.
            environment = {**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
            result = subprocess.run([program, *VALIDATORS[name], str(path)], capture_output=True, text=True,
                                    cwd=folder, env=environment)
            print(f"{name}: {'refused' if result.returncode else 'accepted'}")
            if result.returncode != 0:
                failed = True
                print(f"{result.stdout}\n{result.stderr}")
    sys.exit(1 if failed else 0)


main()
