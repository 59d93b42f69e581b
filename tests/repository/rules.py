#!/usr/bin/env python3
"""The repository's own rules. Usage: rules.py [RULE...]; without a rule, all of them. Prints every breach, exits 1 if any.

Floors are the lines of ashlar/CMakeLists.txt; what a module may use is in its CMakeLists.txt.
"""
import os
import re
import sys
from pathlib import Path

from includes import includes
from tree import INCLUDE, ROOT, files, read

MAX_LINES = 650
SOURCES = {".cpp", ".hpp", ".py", ".sh", ".cmake", ".sql", ".js", ".mjs", ".css"}


class Module:
    def __init__(self, name, floor):
        self.name, self.floor = name, floor
        self.uses, self.test_uses = set(), set()
        text = re.sub(r"#.*", "", read(f"ashlar/{name}/CMakeLists.txt"))
        call = re.search(r"ashlar_module\(([^)]*)\)", text)
        if not call or call.group(1).split()[0] != name:
            raise SystemExit(f"ashlar/{name}/CMakeLists.txt: no ashlar_module({name} ...)")
        keyword = None
        for word in call.group(1).split()[1:]:
            if re.fullmatch(r"[A-Z_]+", word):
                keyword = word
            elif keyword == "USES":
                self.uses.add(word)
            elif keyword == "TEST_USES":
                self.test_uses.add(word)


def modules():
    text = read("ashlar/CMakeLists.txt")
    floors = re.search(r"foreach\(module\s+(.*?)\)", text, re.S).group(1).splitlines()
    named = [(name, floor) for floor, line in enumerate(floors) for name in line.split()]
    return {name: Module(name, floor) for name, floor in named if (ROOT / "ashlar" / name / "CMakeLists.txt").exists()}


def is_test(path):
    return re.search(r"_(test|benchmark|fuzz)\.(cpp|hpp)$", path.name) is not None


def include_graph():
    """A module includes only what is in its USES, and that only from the floors below it."""
    known = modules()
    for module in known.values():
        for used in sorted(module.uses):
            if used not in known:
                yield f"ashlar/{module.name}/CMakeLists.txt: USES {used}, which is no module"
            elif known[used].floor >= module.floor:
                yield f"ashlar/{module.name}/CMakeLists.txt: USES {used} of floor {known[used].floor}, which is not below {module.floor}"
    included = {name: set() for name in known}
    for path in files(".cpp", ".hpp"):
        own = path.parts[1] if path.parts[0] == "ashlar" and len(path.parts) > 2 else None
        text = read(path)
        for match in INCLUDE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            quote, target = match.groups()
            if own and quote == '"':
                yield f'{path}:{line}: write #include <ashlar/{own}/...>, not "{target}"'
            parts = target.split("/")
            if parts[0] != "ashlar" or len(parts) < 3:
                if own and target == "ashlar/ashlar.hpp":
                    yield f"{path}:{line}: ashlar/ashlar.hpp is for programs, not for modules"
                continue
            other = parts[1]
            if not (ROOT / target).exists():
                yield f"{path}:{line}: there is no {target}"
            if other == own or other not in known:
                continue
            if parts[2] == "detail" and not is_test(path):
                yield f"{path}:{line}: {target} is internal to {other}"
            if own not in known:
                continue
            included[own].add(other)
            if is_test(path) and other in known[own].test_uses:
                continue
            if known[other].floor >= known[own].floor:
                yield f"{path}:{line}: {own} (floor {known[own].floor}) must not include {other} (floor {known[other].floor})"
            elif other not in known[own].uses:
                yield f"{path}:{line}: {other} is not in the USES of ashlar/{own}/CMakeLists.txt"
    for module in known.values():
        for unused in sorted((module.uses | module.test_uses) - included[module.name]):
            yield f"ashlar/{module.name}/CMakeLists.txt: USES {unused}, and nothing includes it"


def shape():
    """Files stay small, headers begin with their contract, every module has its README."""
    for name in modules():
        readme = ROOT / "ashlar" / name / "README.md"
        if not readme.exists():
            yield f"ashlar/{name}: no README.md (what it is for, its main types, what lives in which file, what it may use)"
        elif len(readme.read_text(encoding="utf-8").splitlines()) > 40:
            yield f"ashlar/{name}/README.md: more than 40 lines; the guide is in docs/guide"
    for path in files(*SOURCES):
        lines = read(path).splitlines()
        if len(lines) > MAX_LINES:
            yield f"{path}: {len(lines)} lines; a file has at most {MAX_LINES}"
        if path.suffix == ".hpp":
            if not lines or not lines[0].startswith("//"):
                yield f"{path}:1: a header begins with what it is for"
            if "#pragma once" not in lines:
                yield f"{path}: no #pragma once"
        if path.suffix in {".cpp", ".hpp"} and path.parts[0] == "ashlar":
            for number, line in enumerate(lines, 1):
                if re.match(r"\s*#\s*include\s*<(iostream|regex)>", line):
                    yield f"{path}:{number}: {line.strip()} costs every program start-up and build time; use fmt, or a parser"


def slug(heading):
    text = re.sub(r"[`*_]|\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip()).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def links():
    """Links between documents lead somewhere."""
    def without_code(text):
        return re.sub(r"`[^`\n]*`", "", re.sub(r"^( *)(```+|~~~+).*?^\1\2 *$", "", text, flags=re.M | re.S))

    anchors = {}
    for path in files(".md"):
        text = re.sub(r"^( *)(```+|~~~+).*?^\1\2 *$", "", read(path), flags=re.M | re.S)
        anchors[path] = {slug(h) for h in re.findall(r"^#+ +(.+)$", text, re.M)}
    for path in anchors:
        for target in re.findall(r"\]\(([^)\s]+)(?: \"[^\"]*\")?\)|(?:src|href)=\"([^\"]+)\"", without_code(read(path))):
            target = target[0] or target[1]
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            to = path if not name else Path(os.path.normpath(path.parent / name))
            if not (ROOT / to).exists():
                yield f"{path}: the link to {target} leads nowhere"
            elif anchor and to in anchors and anchor not in anchors[to]:
                yield f"{path}: {to} has no heading #{anchor}"
    for index in ("docs/README.md", "docs/decisions/README.md"):
        folder = Path(index).parent
        listed = {os.path.normpath(folder / t) for t in re.findall(r"\]\(([^)#\s]+)", read(index))}
        for page in anchors:
            if page.parent in {folder, folder / "guide"} and page != Path(index) and str(page) not in listed:
                yield f"{index}: does not list {page}"


SAMPLE = re.compile(r"^<!-- sample: (\S+?)(?:#(\S+))? -->\n+(```\w*\n)(.*?)^```$", re.M | re.S)


def region(path, name):
    """The lines of a file between `// sample: NAME` and `// end of sample`, moved to the left margin; or the whole file."""
    text = read(path)
    if not name:
        return text
    found = re.search(rf"^ *(?://|#|--) sample: {re.escape(name)}\n(.*?)^ *(?://|#|--) end of sample$", text, re.M | re.S)
    if not found:
        return None
    lines = found.group(1).splitlines()
    margin = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return "".join(line[margin:] + "\n" for line in lines)


def samples():
    """Code in the documents is code that the tests compile: <!-- sample: FILE[#NAME] --> before a fenced block."""
    for path in files(".md"):
        for file, name, _, shown in SAMPLE.findall(read(path)):
            if not (ROOT / file).exists():
                yield f"{path}: the sample's file {file} is not there"
                continue
            actual = region(file, name)
            if actual is None:
                yield f"{path}: {file} has no `// sample: {name}`"
            elif actual != shown:
                yield f"{path}: the sample differs from {file}{'#' + name if name else ''}; python3 tests/repository/rules.py --write copies it"
    for readme in ("README.md", "README.zh-CN.md"):
        first = re.search(r"(?:<!-- sample: (\S+) -->\n+)?```cpp\n", read(readme))
        if not first or first.group(1) != "examples/hello/main.cpp":
            yield f"{readme}: the first sample is not examples/hello/main.cpp"
        elif (ROOT / first.group(1)).exists() and len(read(first.group(1)).splitlines()) >= 30:
            yield f"examples/hello/main.cpp: the first sample has under 30 lines"


TABLE = re.compile(r"^<!-- refusals: (\S+) -->\n(.*?)^<!-- end of refusals -->$", re.M | re.S)
CASE = re.compile(r'^    \{"\w+",\s*(\d+),\s*k\w+,\s*"(RFC [^"]+)",\s*"([^"]+)",', re.M)


def refusals_of(path):
    """The refusals of a table of requests (ashlar/http/refusals_test.hpp), as a table for the guide: one line a kind."""
    source = read(path)
    cases = CASE.findall(source)
    if len(cases) != len(re.findall(r'^    \{"', source, re.M)):
        raise SystemExit(f'{path}: a case is not written as {{"Name", status, after, "RFC ...", "what", ...')
    lines = {f"| {what} | {status} | {section} |": None for status, section, what in cases if int(status) >= 400}
    return "\n| what | answer | because of |\n|---|---|---|\n" + "".join(line + "\n" for line in lines) + "\n"


def refusals():
    """The guide says what the table of the tests says: <!-- refusals: FILE --> before it."""
    for path in files(".md"):
        for file, shown in TABLE.findall(read(path)):
            if not (ROOT / file).exists():
                yield f"{path}: the table's file {file} is not there"
            elif refusals_of(file) != shown:
                yield f"{path}: the table differs from {file}; python3 tests/repository/rules.py --write copies it"


def write_refusals():
    for path in files(".md"):
        before = read(path)
        after = TABLE.sub(lambda m: f"<!-- refusals: {m[1]} -->\n{refusals_of(m[1])}<!-- end of refusals -->", before)
        if after != before:
            (ROOT / path).write_text(after, encoding="utf-8")
            print(f"{path}: refusals copied")


def write_samples():
    for path in files(".md"):
        def fresh(match):
            file, name, fence, _ = match.groups()
            if not (ROOT / file).exists() or region(file, name) is None:
                return match.group(0)
            return f"<!-- sample: {file}{'#' + name if name else ''} -->\n\n{fence}{region(file, name)}```"

        before = read(path)
        after = SAMPLE.sub(fresh, before)
        if after != before:
            (ROOT / path).write_text(after, encoding="utf-8")
            print(f"{path}: samples copied")


RULES = {rule.__name__: rule for rule in (includes, include_graph, shape, links, samples, refusals)}


def main(names):
    if names == ["--write"]:
        write_samples()
        write_refusals()
        return 0
    breaches = 0
    for name in names or RULES:
        for breach in RULES[name]():
            print(breach)
            breaches += 1
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
