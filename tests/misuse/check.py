#!/usr/bin/env python3
"""A wrong program does not compile, and says why. Usage: check.py BUILD_DIR FILE.cpp

The file names what its errors must say, one `// expect: REGEX` a line. It must fail to compile with those words in its
errors, and in few of them; and compile when ASHLAR_FIXED is defined, which shows that nothing else is wrong with it.
"""
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "repository"))
from compiler import Compiler, in_parallel  # noqa: E402

MOST_ERRORS = 2  # what a reader is asked to look at


def main(build, file):
    compiler = Compiler(build)
    file = Path(file).resolve()
    expected = re.findall(r"^// expect: (.+)$", file.read_text(encoding="utf-8"), re.M)
    if not expected:
        print(f"{file}: no `// expect: REGEX`")
        return 1
    flags = compiler.flags("ashlar/app")
    (status, messages), (fixed_status, fixed_messages) = in_parallel(
        lambda more: compiler.run(flags, file, "-fsyntax-only", *more), [(), ("-DASHLAR_FIXED",)])
    errors = [line for line in messages.splitlines() if re.search(r"\berror: ", line)]
    problems = []
    if status == 0:
        problems.append("it compiles")
    for pattern in expected:
        if status and not any(re.search(pattern, line) for line in errors):
            problems.append(f"no error says: {pattern}")
    if len(errors) > MOST_ERRORS:
        problems.append(f"{len(errors)} errors; at most {MOST_ERRORS} are readable")
    if fixed_status:
        problems.append(f"with ASHLAR_FIXED it does not compile:\n{fixed_messages}")
    if problems:
        print(f"{file.name}: " + "\n".join(problems))
        print(f"---- what the compiler said\n{messages}")
        return 1
    print(errors[0])
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
