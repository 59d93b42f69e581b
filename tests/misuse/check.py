#!/usr/bin/env python3
"""A wrong program does not compile, and says why. Usage: check.py BUILD_DIR FILE.cpp
                                                        check.py BUILD_DIR --precompile   before them, each time

The file names what its errors must say, one `// expect: REGEX` a line, and with `// expect in C++26: REGEX` what they say
where the compiler lets the library put its messages together. It must fail to compile with those words in its
errors, and in few of them; and compile when ASHLAR_FIXED is defined, which shows that nothing else is wrong with it.
"""
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "repository"))
from compiler import Compiler, in_parallel  # noqa: E402

MOST_ERRORS = 2  # what a reader is asked to look at
STANDARDS = ("c++23", "c++26")


def precompiled(build, standard):
    return Path(build).resolve() / "precompiled" / f"misuse-{standard}.pch"


def precompile(build):
    """All headers that these programs include, once for each standard: they are most of what a program costs."""
    compiler = Compiler(build)
    flags = compiler.flags("ashlar/app", precompiled=False)
    names = {name for file in Path(__file__).parent.glob("*.cpp")
             for name in re.findall(r"^#include (<[^>]+>)", file.read_text(encoding="utf-8"), re.M)}
    header = precompiled(build, "headers").with_suffix(".hpp")
    header.write_text("".join(f"#include {name}\n" for name in sorted(names)))
    done = in_parallel(lambda standard: compiler.make(flags, header, precompiled(build, standard), f"-std={standard}",
                                                      "-x", "c++-header", "-fpch-instantiate-templates"), STANDARDS)
    print("\n".join(messages for _, messages in done))
    return max(status for status, _ in done)


def main(build, file):
    compiler = Compiler(build)
    file = Path(file).resolve()
    text = file.read_text(encoding="utf-8")
    wrong = {standard: re.findall(rf"^// expect{words}: (.+)$", text, re.M)
             for standard, words in zip(STANDARDS, ("", r" in C\+\+26"))}
    wrong = {standard: expected for standard, expected in wrong.items() if expected}
    if not wrong:
        print(f"{file}: no `// expect: REGEX`")
        return 1
    flags = compiler.flags("ashlar/app", precompiled=False)
    *results, (fixed_status, fixed_messages) = in_parallel(
        lambda one: compiler.run(flags, file, "-fsyntax-only", f"-std={one[0]}", "-include-pch",
                                 str(precompiled(build, one[0])), *one[1:]),
        [*((standard,) for standard in wrong), ("c++23", "-DASHLAR_FIXED")])

    problems = []
    for expected, (status, messages) in zip(wrong.values(), results):
        errors = [line for line in messages.splitlines() if re.search(r"\berror: ", line)]
        if status == 0:
            problems.append("it compiles")
        for pattern in expected:
            if status and not any(re.search(pattern, line) for line in errors):
                problems.append(f"no error says: {pattern}\n---- but:\n{messages}")
        if len(errors) > MOST_ERRORS:
            problems.append(f"{len(errors)} errors; at most {MOST_ERRORS} are readable:\n{messages}")
        print("\n".join(errors))
    if fixed_status:
        problems.append(f"with ASHLAR_FIXED it does not compile:\n{fixed_messages}")
    print("\n".join(f"{file.name}: {problem}" for problem in problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(precompile(sys.argv[1]) if sys.argv[2] == "--precompile" else main(*sys.argv[1:]))
