#!/usr/bin/env python3
"""Usage: official.py PROGRAM

Validates the document that `PROGRAM openapi` prints against the schema that the OpenAPI initiative publishes, and lints
it. Needs `npm install -g @seriousme/openapi-schema-validator @redocly/cli`; is skipped without them (exit code 77).
"""
import os
import shutil
import subprocess
import sys
import tempfile

from document import write_document

VALIDATORS = {
    "validate-api": [],
    # Those that ask for texts that only the author of a service can write are left out.
    "redocly": ["lint", "--format=stylish", "--skip-rule=info-license", "--skip-rule=tag-description",
                "--skip-rule=no-server-example.com", "--skip-rule=operation-4xx-response"],
}


def main():
    found = [name for name in VALIDATORS if shutil.which(name)]
    if not found:
        print("skipped: neither validate-api nor redocly is installed "
              "(npm install -g @seriousme/openapi-schema-validator @redocly/cli)")
        sys.exit(77)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "openapi.json")
        write_document(sys.argv[1], path)
        for name in found:
            command = [name, *VALIDATORS[name], path]
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode != 0:
                failed = True
                print(f"{name}:\n{result.stdout}\n{result.stderr}")
    sys.exit(1 if failed else 0)


main()
