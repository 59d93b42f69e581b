#!/usr/bin/env python3
"""Makes projects of Ashlar, and rebuilds and restarts them while you write. `ashlar --help`

  ashlar new NAME    a project that builds, serves, is tested and can be deployed
  ashlar dev         builds and serves it, again after each change
"""
import argparse
import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEMPLATE_NAME = "myapp"  # what the template calls itself
# Targets of CMake and words of C++ that a project cannot be called.
RESERVED = set("""all ashlar bool build char class clean default delete double edit_cache enum export float help install int long
main namespace new package preinstall rebuild_cache return short signed std struct template test tests this throw true false try
union unsigned using virtual void volatile while""".split())


class Failure(Exception):
    """What the user is told, without a traceback."""


def shared():
    """The folder with the templates: beside this file in the sources, in share/ashlar when installed."""
    for folder in (HERE, HERE.parent / "share" / "ashlar"):
        if (folder / "new" / "CMakeLists.txt").is_file():
            return folder
    raise Failure(f"the templates are neither in {HERE} nor in {HERE.parent / 'share' / 'ashlar'}: install Ashlar again")


def check_name(name):
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or "__" in name:
        raise Failure(f"{name!r} cannot be the name of a project: small letters, digits and single underscores, a letter first, "
                      "40 at most; it becomes a target, a namespace and the prefix of environment variables")
    if name in RESERVED:
        raise Failure(f"{name!r} cannot be the name of a project: it means something to CMake or C++ already")
    return name


def renamed(text, name):
    return text.replace(TEMPLATE_NAME.upper(), name.upper()).replace(TEMPLATE_NAME, name)


def new(options):
    name = check_name(options.name)
    target = options.into or Path(name)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Failure(f"{target} is there already, and not empty: choose another name or --into another folder")
    template = shared() / "new"
    made = not target.exists()
    try:
        target.mkdir(parents=True, exist_ok=True)
        for source in sorted(template.rglob("*")):
            if not source.is_file() or "__pycache__" in source.parts:
                continue
            to = target / renamed(str(source.relative_to(template)), name)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_text(renamed(source.read_text(encoding="utf-8"), name), encoding="utf-8")
            to.chmod(source.stat().st_mode & 0o777 | 0o200)
    except OSError as error:
        if made:  # half a project is none
            shutil.rmtree(target, ignore_errors=True)
        raise Failure(f"cannot write {error.filename or target}: {error.strerror}") from error
    print(f"{target} is a service now:\n\n  cd {target}\n  ashlar dev        # serves http://127.0.0.1:8000/docs, again after "
          "each change\n  ./ci              # what must pass before a change lands\n")
    return 0


def main():
    parser = argparse.ArgumentParser(prog="ashlar", description="Projects of Ashlar: C++ services with typed APIs.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser("new", help="make a project", description="Makes a project: a service with its tests, presets, "
                              "a script for CI, a container, and what deploys it.")
    one.add_argument("name", metavar="NAME")
    one.add_argument("--into", type=Path, metavar="FOLDER", help="where to; default: ./NAME")
    one.set_defaults(run=new)
    one = commands.add_parser("dev", help="build and serve, again after each change")
    sys.path.insert(0, str(shared()))
    import ashlar_dev
    ashlar_dev.add_options(one)
    options = parser.parse_args()
    try:
        return options.run(options)
    except Failure as failure:
        print(f"ashlar: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
