"""The OpenAPI document of a program."""
import os
import subprocess
import tempfile


def write_document(program, path):
    """In an empty folder, and with the settings of no machine."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    environment["JWT_SECRET"] = "only for tests; it signs nothing that lasts"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([os.path.abspath(program), "openapi", "--output", path], check=True, cwd=folder, env=environment,
                       stdout=subprocess.DEVNULL)


def read_document(program):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "openapi.json")
        write_document(program, path)
        with open(path) as file:
            return file.read()
