"""Runs the compiler with the flags of the build (compile_commands.json)."""
import json
import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Compiler:
    def __init__(self, build):
        self.build = Path(build).resolve()
        self.commands = json.loads((self.build / "compile_commands.json").read_text())

    def sources(self):
        """Those for which no header of ours is precompiled."""
        plain = r"-include-pch \S*\b(standard|tests)\.pch"
        return [Path(c["file"]) for c in self.commands if "-include-pch" not in c["command"] or re.search(plain, c["command"])]

    def flags(self, folder, precompiled=True):
        """The compiler and its flags as used for a source in the folder (or any). Of precompiled headers, the standard ones at most."""
        plain = [c for c in self.commands if "precompiled/standard.pch" in c["command"]]
        chosen = next((c for c in plain if Path(c["file"]).is_relative_to(ROOT / folder)), plain[0])
        left_out = {"-o", "-c", "-MF", "-MT"} | (set() if precompiled else {"-include-pch"})
        kept, skip = [], False
        for word in shlex.split(chosen["command"]):
            if skip:
                skip = False
            elif word in left_out:
                skip = word != "-c"
            elif word not in {"-MD", chosen["file"]}:
                kept.append(word)
        # Tests may use libraries that the module itself does not.
        module = ROOT.joinpath(*Path(folder).parts[:2])
        beside = [c["command"] for c in self.commands if Path(c["file"]).is_relative_to(module)]
        places = re.findall(r"-(?:I ?|isystem )(\S+)", " ".join(beside))
        return [*kept, *(f"-isystem{place}" for place in dict.fromkeys(places) if place != str(ROOT))]

    def run(self, flags, source, *more):
        """Compiles to nowhere. Gives (exit status, messages)."""
        return self.make(flags, source, os.devnull, *more)

    def make(self, flags, source, output, *more):
        """Gives (exit status, messages)."""
        command = [*flags, *more, "-fno-color-diagnostics", "-c", str(source), "-o", str(output)]
        if "ccache" in Path(command[0]).name and ("-fsyntax-only" in more or "c++-header" in more):
            command = command[1:]
        done = subprocess.run(command, cwd=self.build, capture_output=True, text=True)
        return done.returncode, done.stderr


def in_parallel(work, items):
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, items))
