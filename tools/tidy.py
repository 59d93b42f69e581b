#!/usr/bin/env python3
"""clang-tidy over the sources of the build, again only for what changed. ./x lint calls it.

A file counts as changed when it, a header of ours that it includes (directly or not), or .clang-tidy did since it was
last found clean.
"""
import argparse
import hashlib
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@cache
def included(path):
    """The headers of ours that a file includes itself."""
    names = re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(encoding="utf-8"), re.M)
    found = (p for name in names for p in (ROOT / name, path.parent / name) if p.is_file())
    return frozenset(p.resolve() for p in found)


def fingerprint(source):
    seen, rest = set(), [source]
    while rest:
        path = rest.pop()
        if path not in seen:
            seen.add(path)
            rest.extend(included(path))
    digest = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    for path in sorted(seen):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def plugin(folder):
    """tidy_own_code.cpp, built; None where Clang's headers are not installed: clang-tidy then takes three times as long."""
    source = ROOT / "tools" / "tidy_own_code.cpp"
    out = folder / f"own_code.{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}.so"
    if out.exists():
        return out
    try:
        headers = subprocess.run(["llvm-config-19", "--includedir"], capture_output=True, text=True, check=True).stdout.strip()
        for old in folder.glob("own_code.*.so"):
            old.unlink()
        made = out.with_suffix(".new")
        subprocess.run(["clang++-19", "-std=c++17", "-O1", "-shared", "-fPIC", "-fno-rtti", "-fvisibility=hidden",
                        f"-I{headers}", str(source), "-o", str(made)], capture_output=True, check=True)
        made.rename(out)
        return out
    except (OSError, subprocess.CalledProcessError):
        print("clang-tidy: slow, for want of llvm-19-dev and libclang-19-dev", file=sys.stderr)
        return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--fix", action="store_true")
    parser.add_argument("files", nargs="*", type=Path)
    options = parser.parse_args()

    build = options.build.resolve()
    wanted = {f.resolve() for f in options.files}
    entries = json.loads((build / "compile_commands.json").read_text())
    sources = sorted({Path(e["file"]).resolve() for e in entries})
    sources = [s for s in sources if s.is_relative_to(ROOT) and not s.is_relative_to(build) and s.exists()]
    if wanted - set(sources):
        sys.exit("not part of the build: " + ", ".join(str(f) for f in wanted - set(sources)))

    known = build / "tidy"
    known.mkdir(exist_ok=True)
    # Without precompiled headers, so that each source is read with what it includes itself.
    alone = [{**e, "command": re.sub(r" -include-pch \S+", "", e["command"])} for e in entries]
    (known / "compile_commands.json").write_text(json.dumps(alone))
    stamps = {s: known / (str(s.relative_to(ROOT)).replace("/", "_") + "." + fingerprint(s)[:32]) for s in sources}
    todo = [s for s in sources if (s in wanted if wanted else not stamps[s].exists())]
    print(f"clang-tidy: {len(todo)} of {len(sources)} files", file=sys.stderr, flush=True)

    told, done = set(), 0
    own_code = plugin(known) if todo else None
    arguments = [*([f"--load={own_code}"] if own_code else []), *(["--fix"] if options.fix else [])]

    def check(source):
        command = ["clang-tidy-19", "-p", str(known), "--quiet", *arguments, str(source)]
        return source, subprocess.run(command, capture_output=True, text=True)

    failed = False
    with ThreadPoolExecutor(1 if options.fix else options.jobs) as pool:
        for source, result in pool.map(check, todo):
            done += 1
            if sys.stderr.isatty():
                print(f"\r\033[K[{done}/{len(todo)}] {source.relative_to(ROOT)}", end="", file=sys.stderr, flush=True)
            if result.returncode == 0:
                for old in known.glob(str(source.relative_to(ROOT)).replace("/", "_") + ".*"):
                    old.unlink()
                stamps[source].touch()
                continue
            failed = True
            # A header's finding comes with every source that includes it: say it once.
            for finding in re.split(r"(?m)^(?=\S+:\d+:\d+: (?:warning|error))", result.stdout):
                if finding.strip() and finding not in told:
                    told.add(finding)
                    print(finding.rstrip(), flush=True)
            if not result.stdout.strip():
                print(result.stderr, flush=True)
    if sys.stderr.isatty() and todo:
        print("\r\033[K", end="", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
