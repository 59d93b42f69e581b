#!/usr/bin/env python3
"""What a struct costs to compile. Usage: compile_cost.py BUILD_DIR [STRUCTS]

Compiles one file with STRUCTS (100) structs of ten members each, that is read, written and described, and the same file with
none, and prints the difference in user CPU time a struct: the least of three runs, which other load changes little.
"""
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/repository"))
from compiler import Compiler  # noqa: E402

HEAD = """#include <memory>
#include <optional>
#include <string>
#include <vector>
#include <ashlar/base/time.hpp>
#include <ashlar/base/uuid.hpp>
#include <ashlar/schema/json.hpp>
using namespace ashlar;
"""
STRUCT = """
struct Thing{0} {{
  Uuid id;
  Annotated<std::string, strip{{}}, min_length{{1}}, max_length{{{1}}}> title;
  std::string body;
  Annotated<std::int64_t, ge{{{0}}}> views = 1000;
  double price = 0;
  bool published = false;
  std::vector<std::string> tags = {{}};
  std::optional<DateTime> at;
  std::unique_ptr<Thing{0}> parent;
  Annotated<std::optional<int>, le{{{1}}}, description{{"member {0}"}}> rank;
}};
"""
USE = """
template Thing{0} schema::parse_json<Thing{0}>(std::string_view, schema::Where);
template std::string schema::to_json<Thing{0}>(const Thing{0}&);
"""


def user_seconds(compiler, flags, text, folder, *more):
    file = Path(folder) / "things.cpp"
    file.write_text(text, encoding="utf-8")
    best = None
    for _ in range(3):
        before = os.times().children_user
        status, messages = compiler.run(flags, file, *more)
        if status:
            sys.exit(messages)
        spent = os.times().children_user - before
        best = spent if best is None else min(best, spent)
    return best


def main(build, count=100):
    compiler = Compiler(build)
    flags = [word for word in compiler.flags("ashlar/app") if Path(word).name != "ccache"]
    structs = "".join(STRUCT.format(i, i + 200) for i in range(count))
    uses = "".join(USE.format(i) for i in range(count))
    with tempfile.TemporaryDirectory() as folder:
        for name, more in (("syntax only", ["-fsyntax-only"]), ("-O0", ["-O0"]), ("-O2", ["-O2"])):
            head = user_seconds(compiler, flags, HEAD, folder, *more)
            plain = user_seconds(compiler, flags, HEAD + structs, folder, *more)
            full = user_seconds(compiler, flags, HEAD + structs + uses, folder, *more)
            print(f"{name:12} headers {head:5.2f} s   a struct {1000 * (plain - head) / count:5.1f} ms"
                  f"   its schema {1000 * (full - plain) / count:5.1f} ms", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]))
