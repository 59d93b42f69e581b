#!/usr/bin/env python3
"""Usage: cpp_client.py REALWORLD CXX

Makes a typed C++ client of RealWorld's document with OpenAPI Generator (its cpp-boost-beast-client), compiles cpp_client
with it, and runs that against the service. Is skipped (exit code 77) where the generator, Java, Boost or OpenSSL is not
installed.
"""
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from document import write_document

HERE = Path(__file__).resolve().parent
TOOLS = HERE / "tools" / "python"
sys.path.insert(0, str(HERE.parent / "e2e"))
import harness  # noqa: E402

# Two operations of one path are more than version 7.26.0 declares the answers of, so there is one of each here; and of
# the models what these need, 8 of 25, because each takes its time to compile.
OPERATIONS = ["CreateUser", "GetCurrentUser", "GetArticles"]
MODELS = ["ArticleSummary", "GenericErrorModel", "MultipleArticlesResponse", "NewUser", "NewUserRequest", "Profile", "User",
          "UserResponse"]
DEBIAN = "apt-get install default-jre-headless libboost-json1.81-dev libssl-dev"
PIP = f"pip install --require-hashes --target {os.path.relpath(TOOLS)} -r {os.path.relpath(TOOLS.parent / 'requirements.txt')}"


def skip(missing, install):
    print(f"skipped: {missing} is not installed ({install})")
    sys.exit(77)


def find_generator():
    """Its jar, which the package of that name has in it; the program of the same name would fetch another one."""
    sys.path.insert(0, str(TOOLS))
    package = importlib.util.find_spec("openapi_generator_cli")
    if package is None:
        skip("OpenAPI Generator", PIP)
    return Path(package.origin).parent / "openapi-generator.jar"


def run(*command, cwd):
    result = subprocess.run([str(part) for part in command], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}:\n{result.stdout}")
    return result.stdout


def has_libraries(compiler):
    lines = "#include <boost/json.hpp>\n#include <boost/beast/version.hpp>\n#include <openssl/ssl.h>\n"
    return subprocess.run([compiler, "-std=c++17", "-M", "-x", "c++", "-"], input=lines, text=True, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0


def main():
    program, compiler = os.path.abspath(sys.argv[1]), sys.argv[2]
    java = shutil.which("java")
    if java is None:
        skip("Java", DEBIAN)
    if not has_libraries(compiler):
        skip("Boost.JSON or OpenSSL", DEBIAN)
    generator = find_generator()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        folder.chmod(0o755)  # PostgreSQL runs as another user when we are root
        write_document(program, str(folder / "openapi.json"))
        run(java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-jar", generator, "generate", "-g", "cpp-boost-beast-client",
            "-i", "openapi.json", "-o", "generated", "--package-name", "conduit",
            "--additional-properties", "apiPackage=conduit.api,modelPackage=conduit.model",
            "--openapi-normalizer", f"FILTER=operationId:{'|'.join(OPERATIONS)}",
            "--global-property", f"models={':'.join(MODELS)},apis,supportingFiles", cwd=folder)
        run("cmake", "-G", "Ninja", "-S", HERE / "cpp_client", "-B", "build", f"-DGENERATED={folder / 'generated'}",
            f"-DCMAKE_CXX_COMPILER={compiler}", cwd=folder)
        run("cmake", "--build", "build", "-j2", cwd=folder)
        service = harness.Service(folder, program=program,
                                  environment={"JWT_SECRET": "only for tests; it signs nothing that lasts"})
        try:
            print(run(folder / "build" / "client", *service.address, cwd=folder).strip())
        finally:
            service.stop()
            service.destroy()


main()
