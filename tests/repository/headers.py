#!/usr/bin/env python3
"""Every header compiles when it is included first. Usage: headers.py BUILD_DIR [FILE…]: of these files, the headers only

A header of ours that is the first #include of a source has proven it there, unless headers of ours are precompiled for that
source; the others are compiled here, alone. Of the standard headers, which are precompiled for all, rules.py includes knows.
"""
import re
import sys
import tempfile
from pathlib import Path

from compiler import ROOT, Compiler, in_parallel


def main(build, *files):
    compiler = Compiler(build)
    proven = set()
    for source in compiler.sources():
        if source.is_relative_to(ROOT) and source.exists():
            first = re.search(r"^\s*#\s*include\s*<([^>]+)>", source.read_text(encoding="utf-8"), re.M)
            proven |= {first.group(1)} if first else set()
    chosen = {Path(file).resolve() for file in files}
    headers = sorted(str(h.relative_to(ROOT)) for h in (ROOT / "ashlar").rglob("*.hpp") if not files or h in chosen)
    rest = [h for h in headers if h not in proven]

    with tempfile.TemporaryDirectory() as folder:
        def check(header):
            source = Path(folder) / (header.replace("/", "_") + ".cpp")
            source.write_text(f"#include <{header}>\n#include <{header}>\n")
            status, messages = compiler.run(compiler.flags(Path(header).parent), source, "-fsyntax-only")
            return header, status, messages

        broken = [(header, messages) for header, status, messages in in_parallel(check, rest) if status]
    for header, messages in broken:
        print(f"{header} does not compile alone:\n{messages}")
    print(f"{len(headers)} headers: {len(headers) - len(rest)} included first by a source, {len(rest)} compiled alone, {len(broken)} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
