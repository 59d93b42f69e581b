"""Measures Ashlar beside its floors: CPU time, instructions and system calls a request. peers.py: beside others.

  benchmarks/run                      all cases
  benchmarks/run plaintext query      some
  benchmarks/run --list               what there is
  benchmarks/run --profile 40 json    where the instructions go
  benchmarks/run --quick              fewer rounds and requests, for a first look
  benchmarks/run --check              exit code 1 when a budget of budgets.json is exceeded

How it measures, and how to add a case or a peer: benchmarks/README.md.
"""
import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import broadcast  # noqa: E402
import footprint  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
SERVER_CORE, LOAD_CORE = 0, 1
BURSTS = 10                           # of a round


# ---------------------------------------------------------------------------------------------------------- the cases

@dataclasses.dataclass
class HttpCase:
    """A server under load. Commands may hold {bin} {data} {port} {pg} {tmp}; they serve on 127.0.0.1:{port}."""
    name: str
    what: str
    path: str
    floor: list
    subject: list
    expect: str
    method: str = "GET"
    body: str = ""
    floor_expect: str = ""
    depth: int = 1
    requests: int = 300_000
    needs_pg: bool = False
    prepare: str = ""                 # name of a method of Postgres that makes the data
    database: str = "postgres"
    same_length: bool = True
    connections: int = 64
    flags: tuple = ()                 # more options of load.cpp


@dataclasses.dataclass
class ProgramCase:
    """A program that measures itself and prints {"cpu_us": …}; {count} is how often it does the work."""
    name: str
    what: str
    floor: list
    subject: list
    count: int
    counted: tuple                    # two counts for callgrind
    needs_pg: bool = False
    prepare: str = ""
    database: str = "postgres"


@dataclasses.dataclass
class FootprintCase:
    """Measured by a file of its own: what hello costs that does nothing (footprint.py), a room of many (broadcast.py)."""
    name: str
    what: str
    needs_pg: bool = False


APP = ["{bin}/app", "serve", "--host", "127.0.0.1", "--port", "{port}", "--threads", "1"]
ORDER = dict(path="/order", method="POST", body="{data}/order.json", expect='"total":1284.5')

CASES = [
    HttpCase("plaintext", "GET /plaintext, 13 bytes", "/plaintext", ["{bin}/epoll_floor", "plaintext", "{port}"], APP,
             expect="Hello, World!"),
    HttpCase("http", "GET /plaintext of the HTTP server alone, without the application around it", "/plaintext",
             ["{bin}/epoll_floor", "plaintext", "{port}"], ["{bin}/http_server", "{port}"], expect="Hello, World!"),
    HttpCase("json", "GET /json, one member", "/json", ["{bin}/epoll_floor", "json", "{port}"], APP,
             expect='{"message":"Hello, World!"}'),
    HttpCase("order", "POST of a nested order, 594 bytes, validated, to a typed answer",
             floor=["{bin}/epoll_floor", "order", "{port}"], subject=APP, requests=200_000, **ORDER),
    HttpCase("pipelined", "GET /plaintext, 16 deep on each connection", "/plaintext",
             ["{bin}/epoll_floor", "plaintext", "{port}"], APP, expect="Hello, World!", depth=16, requests=2_000_000),
    HttpCase("query", "GET /query/{id}, one row by its key; floor: epoll and libpq in pipeline mode",
             "/query/{1..10000}", ["{bin}/http_pg_floor", "query", "{pg}", "{port}"], APP, expect='"random_number":',
             requests=100_000, needs_pg=True, prepare="make_world", same_length=False),
    HttpCase("articles", "RealWorld: GET /api/articles, 20 of 500 by one statement; floor: epoll and libpq, the same statement",
             "/api/articles", ["{bin}/http_pg_floor", "articles", "{pg}", "{port}", "{data}/articles.sql"],
             ["{build}/examples/realworld/realworld", "serve", "--host", "127.0.0.1", "--port", "{port}", "--threads", "1"],
             expect='"articlesCount":500}', requests=20_000, needs_pg=True, prepare="make_conduit", database="conduit"),
    ProgramCase("pg", "one row by its key, 64 coroutines on one connection; floor: a libpq pipeline loop, 64 deep",
                ["{bin}/libpq_floor", "{pg}", "64", "{count}", "2000"], ["{bin}/pg_bench", "{pg}", "64", "{count}", "2000"],
                count=100_000, counted=(2_000, 12_000), needs_pg=True, prepare="make_world"),
    *(ProgramCase(f"pg-{mode}", f"{what}; floor: libpq, as deep",
                  ["{bin}/libpq_floor", "{pg}", floor_depth, "{count}", "2000", mode],
                  ["{bin}/pg_bench", "{pg}", depth, "{count}", "2000", mode],
                  count=count, counted=(2_000, 12_000), needs_pg=True, prepare="make_world")
      for mode, what, depth, floor_depth, count in (
          ("queries", "rows by their keys, twenty at a time, each by itself, in 8 coroutines on one connection", "8", "160", 100_000),
          ("batch", "rows by their keys, twenty in a batch, which is one transaction, 8 coroutines on one connection", "8", "160", 100_000),
          ("updates", "updates by key, 64 coroutines on one connection", "64", "64", 40_000),
          ("fortunes", "a table of twelve texts, 64 coroutines on one connection", "64", "64", 40_000),
          ("copy", "a row of a hundred thousand, in binary by COPY", "1", "1", 100_000))),
    ProgramCase("parse", "594 bytes of nested JSON into a validated struct; floor: simdjson's DOM parse",
                ["{bin}/simdjson_floor", "{data}/order.json", "{count}"],
                ["{bin}/schema_bench", "parse", "{data}/order.json", "{count}"], count=1_000_000, counted=(2_000, 12_000)),
    ProgramCase("write", "the same struct into JSON; floor: copying as many bytes",
                ["{bin}/schema_bench", "copy", "{data}/order.json", "{count}"],
                ["{bin}/schema_bench", "write", "{data}/order.json", "{count}"], count=1_000_000, counted=(2_000, 12_000)),
    FootprintCase("footprint", "hello: milliseconds to its first answer, MiB at rest, bytes of an idle connection"),
    FootprintCase("broadcast", "a message to 10,000 WebSockets in one room: CPU a delivery, bytes of one that waits"),
]


# --------------------------------------------------------------------------------------------------------- processes

class Failure(Exception):
    pass


def pin(core):
    cores = sorted(os.sched_getaffinity(0))
    chosen = cores[core % len(cores)]
    return lambda: os.sched_setaffinity(0, {chosen})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def accepts(port):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False


def served_by(process, wrapper):
    """The server's own process: strace runs it as a child and ignores signals itself, valgrind becomes it."""
    if not wrapper or pathlib.Path(wrapper[0]).name != "strace":
        return [process.pid]
    return [int(pid) for pid in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


@contextlib.contextmanager
def serving(command, places, wrapper=(), environment=None, prepare=None):
    """Runs a server on the server's core until the block ends; gives its process and port. `prepare` gives more places
    once the port is known."""
    port = free_port()
    places = {**places, **(prepare(port) if prepare else {})}
    command = list(wrapper) + [part.format(**places, port=port) for part in command]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, preexec_fn=pin(SERVER_CORE),
                                   env={**os.environ, **(environment or {})}, cwd=places["tmp"])

        def ready():
            if process.poll() is not None:
                log.seek(0)
                raise Failure(f"{' '.join(command)} ended with {process.returncode}:\n{log.read()[-2000:]}")
            return accepts(port)

        try:
            wait_until(ready, 60, " ".join(command))
            yield process, port
        finally:
            if process.poll() is None:
                for pid in served_by(process, wrapper):
                    os.kill(pid, signal.SIGTERM)
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    print(f"note: {command[0]} did not stop on SIGTERM within 30 s", file=sys.stderr)


def output_of(command, core, environment=None):
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=pin(core), env={**os.environ, **(environment or {})})
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


class Postgres:
    """A PostgreSQL of our own in a temporary folder: unix socket only, stopped by its process id."""

    def __init__(self, tmp):
        binaries = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3]))
        if not binaries:
            raise Failure("PostgreSQL's server programs are not installed (apt-get install postgresql)")
        self.bin = binaries[-1].parent
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-pg-", dir=tmp))
        self.user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        if self.user:
            os.chmod(tmp, 0o755)
            shutil.chown(self.folder, "postgres", "postgres")
        quiet = {"stdout": subprocess.DEVNULL, "cwd": self.folder, **self.user}
        subprocess.run([self.bin / "initdb", "-D", self.folder / "data", "-U", "bench", "-A", "trust", "-E", "UTF8",
                        "--locale=C", "--no-sync"], check=True, **quiet)
        settings = dict(listen_addresses="", unix_socket_directories=self.folder, fsync="off", full_page_writes="off",
                        synchronous_commit="off", shared_buffers="128MB", autovacuum="off", max_connections="50")
        command = [str(self.bin / "postgres"), "-D", str(self.folder / "data")]
        for key, value in settings.items():
            command += ["-c", f"{key}={value}"]
        self.log = open(self.folder / "log", "w")
        self.process = subprocess.Popen(command, stderr=self.log, preexec_fn=pin(LOAD_CORE), **quiet)
        self.made = set()
        wait_until(lambda: (self.folder / ".s.PGSQL.5432").exists() and self.answers(), 30, "PostgreSQL")

    def answers(self):
        return subprocess.run([self.bin / "pg_isready", "-q", "-h", self.folder]).returncode == 0

    def conninfo(self, database="postgres"):
        return f"postgresql:///{database}?host={self.folder}&user=bench"

    def sql(self, text, database="postgres"):
        subprocess.run([self.bin / "psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo(database)], input=text,
                       text=True, check=True, stdout=subprocess.DEVNULL)

    def prepare(self, what, places):
        if what and what not in self.made:
            getattr(self, what)(places)
            self.made.add(what)

    def make_conduit(self, places):
        self.sql("create database conduit")
        output_of([f"{places['build']}/examples/realworld/realworld", "migrate"], LOAD_CORE,
                  {"DATABASE_URL": self.conninfo("conduit")})
        self.sql((HERE / "data" / "conduit.sql").read_text(), "conduit")

    def make_world(self, _places):
        self.sql("""create table world (id integer primary key, random_number integer not null);
                    insert into world select i, 1 + (i * 7919) % 10000 from generate_series(1, 10000) i;
                    create table fortune (id integer primary key, message text not null);
                    insert into fortune select i, repeat('fortune favours the bold ', 1 + i % 4) from generate_series(1, 12) i;
                    create table bulk (id bigint not null, name text not null, value float8 not null);
                    vacuum analyze world;""")

    def stop(self):
        self.process.send_signal(signal.SIGINT)   # "fast": ends the sessions, then stops
        self.process.wait(30)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


# ------------------------------------------------------------------------------------------------------- measurements

def load(case, port, places, requests, warm_up=0, connections=None, depth=None, pid=None, expect=None):
    path = case.path.format(**places) if case.path[0] == "@" else case.path   # others have braces of load.cpp's
    command = [f"{places['bin']}/load", f"127.0.0.1:{port}", path, "--method", case.method, "--requests", str(requests),
               "--warm-up", str(warm_up), "--connections", str(connections or case.connections), "--depth", str(depth or case.depth)]
    if case.body:
        command += ["--body", case.body.format(**places), "--header", "Content-Type: application/json"]
    command += case.flags
    if expect:
        command += ["--expect", expect]
    if case.same_length:
        command += ["--same-length"]
    if pid:
        command += ["--pid", str(pid)]
    return json.loads(output_of(command, LOAD_CORE))


def resident(pid):
    """MiB of memory that a process holds now."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def callgrind_total(path):
    for line in path.read_text().splitlines():
        if line.startswith("totals:"):
            return int(line.split()[1])
    raise Failure(f"callgrind wrote no totals to {path}")


def callgrind_by_function(path):
    """Own instructions of each function. The format: https://valgrind.org/docs/manual/cl-format.html"""
    names, costs, function, call = {}, {}, "", False
    for line in path.read_text().splitlines():
        if line.startswith("fn="):
            number, _, name = line[3:].partition(" ")
            function = names.setdefault(number, name)
        elif line.startswith("cfn="):
            number, _, name = line[4:].partition(" ")
            names.setdefault(number, name)
        elif line.startswith("calls="):
            call = True                       # the next line is what the callee cost: counted there
        elif line[:1] in "+-*0123456789" and line and function:
            if not call:
                costs[function] = costs.get(function, 0) + int(line.split()[1])
            call = False
    return costs


def per_unit(measure, first, second):
    """Runs with two counts: the difference is what the units cost, without start-up, warm-up and shutdown."""
    a, b = measure(first), measure(second)
    if isinstance(a, dict):
        return {key: (b[key] - a.get(key, 0)) / (second - first) for key in b}
    return (b - a) / (second - first)


class Contender:
    """Who is measured in a case: the floor, Ashlar, or a peer."""

    def __init__(self, name, command, case, places, environment=None):
        self.name, self.command, self.case, self.places, self.environment = name, command, case, places, environment
        self.samples = []
        self.result = {}

    def expect(self):
        return self.case.floor_expect or self.case.expect if self.name == "floor" else self.case.expect

    prepare = None

    def round(self, count):
        if isinstance(self.case, ProgramCase):
            command = [part.format(**self.places, count=count) for part in self.command]
            self.samples.append(json.loads(output_of(command, SERVER_CORE, self.environment)))
            return
        with self.serving() as (process, port):
            self.sample(process, port, count, warm_up=max(count // 10, 1000))

    def serving(self):
        return serving(self.command, self.places, environment=self.environment, prepare=self.prepare)

    def sample(self, process, port, count, warm_up):
        sample = load(self.case, port, self.places, count, warm_up=warm_up, pid=process.pid, expect=self.expect())
        sample["rss_mib"] = resident(process.pid)
        self.samples.append(sample)

    def instructions(self):
        out = pathlib.Path(self.places["tmp"]) / f"callgrind.{self.case.name}.{self.name}"
        valgrind = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}"]

        def measure(count):
            out.unlink(missing_ok=True)
            if isinstance(self.case, ProgramCase):
                output_of(valgrind + [part.format(**self.places, count=count) for part in self.command], SERVER_CORE,
                          self.environment)
            else:
                with serving(self.command, self.places, valgrind, self.environment) as (_, port):
                    load(self.case, port, self.places, count, connections=1, depth=self.case.depth)
            by_function.append(callgrind_by_function(out))
            return callgrind_total(out)

        if isinstance(self.case, ProgramCase):
            first, second = self.case.counted
        else:
            first, second = 1_000 * self.case.depth, 3_000 * self.case.depth
        by_function = []
        self.result["instructions"] = per_unit(measure, first, second)
        before, after = by_function
        self.profile = sorted((((after[name] - before.get(name, 0)) / (second - first), name) for name in after), reverse=True)

    def system_calls(self):
        if isinstance(self.case, ProgramCase):
            return
        out = pathlib.Path(self.places["tmp"]) / f"strace.{self.case.name}.{self.name}"

        def measure(count):
            out.unlink(missing_ok=True)
            with serving(self.command, self.places, ["strace", "-f", "-c", "-o", str(out)], self.environment) as (_, port):
                load(self.case, port, self.places, count)
            calls = {}
            for line in out.read_text().splitlines():  # % time, seconds, usecs/call, calls, [errors,] syscall
                parts = line.split()
                if len(parts) >= 5 and parts[3].isdigit() and parts[-1] != "total":
                    calls[parts[-1]] = int(parts[3])
            calls["total"] = sum(calls.values())
            return calls

        calls = per_unit(measure, 2_000, 12_000)
        self.result["system_calls"] = calls.pop("total")
        self.result["system_calls_by_name"] = {name: round(count, 3) for name, count in calls.items() if count > 0.005}

    def finish(self):
        for key in ("cpu_us", "requests_per_second", "per_second", "p50_us", "p99_us", "gigabytes_per_second",
                    "rss_mib"):
            values = [sample[key] for sample in self.samples if key in sample]
            if values:
                self.result[key] = statistics.median(values)
        self.result["cpu_us_all"] = [sample["cpu_us"] for sample in self.samples]


def measure_footprint(case, places, options):
    progress(case.name)
    try:
        if case.name == "broadcast":
            result = broadcast.measure(places, free_port, sorted(os.sched_getaffinity(0))[SERVER_CORE])
        else:
            result = footprint.measure(places, free_port, options.rounds)
    except (RuntimeError, OSError) as error:
        raise Failure(error) from None
    progress("")
    return {"ashlar": result}


def in_bursts(contenders, rounds, count):
    """All serve all the time, and are asked in turns of a fraction of a second: what the machine does beside weighs on
    neighbours alike, which it does not on runs of seconds."""
    burst = max(count // BURSTS, 1)
    with contextlib.ExitStack() as stack:
        servers = [(contender, *stack.enter_context(contender.serving())) for contender in contenders]
        for contender, _, port in servers:
            load(contender.case, port, contender.places, max(count // 10, 1000), expect=contender.expect())
        for number in range(rounds * BURSTS):
            progress(f"{contenders[0].case.name}: burst {number + 1} of {rounds * BURSTS}")
            for contender, process, port in servers if number % 2 == 0 else reversed(servers):
                contender.sample(process, port, burst, warm_up=max(burst // 20, 200))


def measure_case(case, places, options):
    if isinstance(case, FootprintCase):
        return measure_footprint(case, places, options)
    contenders = [Contender("floor", case.floor, case, places, places["environment"]),
                  Contender("ashlar", case.subject, case, places, places["environment"])]
    size = case.count if isinstance(case, ProgramCase) else case.requests
    count = int(size * options.scale)
    if isinstance(case, ProgramCase):
        for number in range(options.rounds):
            for contender in contenders:
                progress(f"{case.name}: round {number + 1} of {options.rounds}, {contender.name}")
                contender.round(count)
    else:
        in_bursts(contenders, options.rounds, count)
    for contender in contenders:
        if options.instructions:
            progress(f"{case.name}: counting instructions, {contender.name}")
            contender.instructions()
        if options.system_calls:
            progress(f"{case.name}: counting system calls, {contender.name}")
            contender.system_calls()
        contender.finish()
    floor = contenders[0]
    for contender in contenders[1:]:
        # Neighbouring runs share the noise of the machine, so the ratio is taken round by round.
        contender.result["cpu_ratio"] = statistics.median(
            mine["cpu_us"] / other["cpu_us"] for mine, other in zip(contender.samples, floor.samples))
        if "instructions" in contender.result:
            contender.result["instructions_ratio"] = contender.result["instructions"] / floor.result["instructions"]
    progress("")
    if options.profile and options.instructions:
        for contender in contenders:
            print(f"{case.name}, {contender.name}: user-space instructions a unit by function")
            for cost, name in contender.profile[: options.profile]:
                if cost >= 1:
                    print(f"{cost:10.1f}  {name[:150]}")
            print()
    return {contender.name: contender.result for contender in contenders}


def progress(text):
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()


# ------------------------------------------------------------------------------------------------------------- report

COLUMNS = [("CPU µs", "cpu_us", "{:.2f}"), ("ratio", "cpu_ratio", "{:.2f}"), ("instructions", "instructions", "{:,.0f}"),
           ("ratio", "instructions_ratio", "{:.2f}"), ("syscalls", "system_calls", "{:.2f}"),
           ("per second", "requests_per_second", "{:,.0f}"), ("p50 µs", "p50_us", "{:.0f}"), ("p99 µs", "p99_us", "{:.0f}")]


def table(results):
    rows = [["case", "who"] + [title for title, _, _ in COLUMNS]]
    for case, by_name in results.items():
        for name, result in by_name.items():
            cells = []
            for _, key, form in COLUMNS:
                value = result.get(key, result.get("per_second") if key == "requests_per_second" else None)
                cells.append("" if value is None else form.format(value))
            rows.append([case, name] + cells)
    return aligned(rows, left=2)


def aligned(rows, left):
    """Columns of text, a title above a line; the first `left` of them aligned to the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        lines.append("  ".join(cell.ljust(width) if i < left else cell.rjust(width)
                               for i, (cell, width) in enumerate(zip(row, widths))).rstrip())
        if number == 0:
            lines.append("  ".join("-" * width for width in widths))
    return "\n".join(lines)


def exceeded(results):
    """Budgets of budgets.json that do not hold; what was not measured cannot be exceeded."""
    complaints = []
    for case, budget in json.loads((HERE / "budgets.json").read_text()).items():
        for key, limit in budget.items():
            measured = results.get(case, {}).get("ashlar", {}).get(key)
            if measured is not None and measured > limit:
                complaints.append(f"{case}: {key} is {measured:,.2f}, the budget is {limit:,}")
    return complaints


# --------------------------------------------------------------------------------------------------------------- main

def build(folder):
    if not (folder / "CMakeCache.txt").exists():
        subprocess.run(["cmake", "--preset", "release"], cwd=ROOT, check=True)
    subprocess.run(["cmake", "--build", str(folder), "--target", "benchmarks"], cwd=ROOT, check=True)


def arguments():
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="cases to measure; all when none is named")
    parser.add_argument("--list", action="store_true", help="list the cases and peers")
    parser.add_argument("--quick", action="store_true", help="three short rounds")
    parser.add_argument("--rounds", type=int, help="rounds of each contender (5; with --quick 3)")
    parser.add_argument("--no-counts", action="store_true", help="times only: no callgrind, no strace")
    parser.add_argument("--counts-only", action="store_true", help="one short round, then instructions and system calls")
    parser.add_argument("--profile", type=int, metavar="N", help="show the N functions with the most instructions; implies "
                        "--counts-only")
    parser.add_argument("--check", action="store_true", help="exit code 1 when a budget is exceeded")
    parser.add_argument("--json", metavar="FILE", help="write all results to FILE")
    parser.add_argument("--build-dir", type=pathlib.Path, default=ROOT / "build" / "release", help="a release build")
    parser.add_argument("--no-build", action="store_true", help="measure what is built")
    options = parser.parse_args()
    options.counts_only |= options.profile is not None
    options.rounds = options.rounds or (1 if options.counts_only else 3 if options.quick else 5)
    options.scale = 0.05 if options.counts_only else 0.2 if options.quick else 1.0
    options.instructions = not options.no_counts
    options.system_calls = not options.no_counts and options.profile is None
    return options


def main():
    options = arguments()
    if options.list:
        for case in CASES:
            print(f"{case.name:10} {case.what}")
        return 0
    known = {case.name: case for case in CASES}
    unknown = [name for name in options.cases if name not in known]
    if unknown:
        print(f"no case named {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    for tool, option, what in (("valgrind", "instructions", "instructions are"), ("strace", "system_calls", "system calls are")):
        if getattr(options, option) and not shutil.which(tool):
            print(f"note: {what} not counted: {tool} is not installed (apt-get install {tool})", file=sys.stderr)
            setattr(options, option, False)
    if len(os.sched_getaffinity(0)) < 2:
        print("note: one core only: server and load share it, so the requests/s mean little", file=sys.stderr)
    if not options.no_build:
        build(options.build_dir)

    results, failures = {}, []
    with tempfile.TemporaryDirectory(prefix="ashlar-bench-") as tmp:
        places = dict(bin=options.build_dir / "benchmarks", build=options.build_dir, data=HERE / "data", tmp=tmp, pg="",
                      environment={})
        postgres = None
        try:
            for case in (known[name] for name in options.cases or known):
                try:
                    if case.needs_pg:
                        postgres = postgres or Postgres(tmp)
                        postgres.prepare(case.prepare, places)
                        places["pg"] = postgres.conninfo(case.database)
                        places["environment"] = {"DATABASE_URL": places["pg"]}
                    results[case.name] = measure_case(case, places, options)
                except (Failure, FileNotFoundError) as failure:
                    progress("")
                    failures.append(f"{case.name}: {failure}")
        finally:
            if postgres:
                postgres.stop()

    resting = results.get("footprint", {}).get("ashlar")
    timed = {name: result for name, result in results.items() if not isinstance(known[name], FootprintCase)}
    if timed:
        print(table(timed))
    if resting:
        print("footprint  first answer after {first_answer_ms:.0f} ms, {rss_mib:.1f} MiB at rest, {bytes_per_connection:.0f} bytes "
              "each of {connections:,} idle connections".format(**resting))
    if room := results.get("broadcast", {}).get("ashlar"):
        print("broadcast  {cpu_us:.2f} µs of CPU a delivery; the last of {members:,} WebSockets has a message after {last_has_it_ms:.0f} ms; "
              "{bytes_per_websocket:.0f} bytes each that waits".format(**room))
    for failure in failures:
        print(f"not measured: {failure}", file=sys.stderr)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    if options.check:
        complaints = exceeded(results)
        for complaint in complaints:
            print(f"over budget: {complaint}", file=sys.stderr)
        if complaints:
            return 1
        print("all budgets hold")
    return 1 if failures else 0

