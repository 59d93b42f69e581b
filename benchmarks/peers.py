"""Measures Ashlar beside others that do the same work, and writes docs/benchmarks/.

  ./x bench peers                     every case, every peer that this machine can build
  ./x bench peers servers             the cases of HTTP servers
  ./x bench peers clients             the cases of PostgreSQL clients
  ./x bench peers json --only axum    some; writes no documents
  ./x bench peers --list              what there is, and what is missing for it

A peer is a folder peers/NAME with its sources and a peer.json:
  what      one line for the table
  needs     {program or path: how to get it}; a peer for which something is missing is skipped, and said to be
  shares    files of other peers that it is built with
  build     commands, run in a copy of the folder (build/peers/NAME) whenever the sources changed
  template  a file with @port@ and @tmp@ in it, filled in for each run: {config}
  plain, tls   more of what is filled in, without and with TLS
  command   how it serves on 127.0.0.1:{port}; {peer} is the copy, {config} the filled-in template; of a client, the
            program, which is given what pg_bench is given and prints the same
  cases     names of bench.py's cases; it must answer as they expect
  version   a command, run in the copy, that prints it, where peers.py does not know how to find it
  scale     how many of a case's requests it is given, so that slow ones end too (1)
"""
import argparse
import dataclasses
import hashlib
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile

import bench

HERE = pathlib.Path(__file__).resolve().parent
DOCS = bench.ROOT / "docs" / "benchmarks"
SERVERS = ("plaintext", "json", "order", "pipelined")
CLIENTS = ("pg", "pg-queries", "pg-batch", "pg-updates", "pg-fortunes", "pg-copy")
TLS = ["--tls-cert", "{certificate}", "--tls-key", "{key}"]


@dataclasses.dataclass
class ProtocolCase(bench.HttpCase):
    """Loaded by h2load (Debian: nghttp2-client), which speaks TLS and HTTP/2. Without a floor: nginx stands for it."""
    h2load: tuple = ()


PROTOCOLS = [
    ProtocolCase("tls", "GET /json over TLS 1.3 by HTTP/1.1, 64 kept connections", "/json", [], bench.APP + TLS,
                 expect='{"message":"Hello, World!"}', requests=200_000, h2load=("--h1", "-c", "64", "-m", "1")),
    ProtocolCase("http2", "GET /json over TLS 1.3 by HTTP/2, 8 connections with 100 concurrent streams each", "/json", [],
                 bench.APP + TLS, expect='{"message":"Hello, World!"}', requests=400_000, h2load=("-c", "8", "-m", "100")),
    ProtocolCase("handshakes", "GET /json over TLS 1.3 by HTTP/1.1, a new connection and full handshake for each", "/json", [],
                 bench.APP + TLS, expect='{"message":"Hello, World!"}', requests=3_000, h2load=("--h1", "-m", "1")),
]
SERVERS += tuple(case.name for case in PROTOCOLS)


# ----------------------------------------------------------------------------------------------------------- building

def known_peers():
    return [{"name": path.parent.name, "source": path.parent, **json.loads(path.read_text())}
            for path in sorted((HERE / "peers").glob("*/peer.json"))]


def missing(peer):
    return [f"{program} ({how})" for program, how in peer["needs"].items() if not find_program(program)]


def find_program(name):
    if name.startswith("/"):
        return name if os.path.exists(name) else None
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


def fingerprint(files):
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def build(peer):
    """Copies the sources and builds them, unless that was done; gives the folder."""
    folder = bench.ROOT / "build" / "peers" / peer["name"]
    sources = [file for file in peer["source"].rglob("*") if file.is_file()]
    shared = [HERE / "peers" / name for name in peer.get("shares", [])]
    stamp, wanted = folder / "built", fingerprint(sources + shared)
    if stamp.exists() and stamp.read_text() == wanted:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    for file in sources:
        target = folder / file.relative_to(peer["source"])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    for file in shared:
        target = folder / file.relative_to(HERE / "peers" / file.relative_to(HERE / "peers").parts[0])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    for command in peer.get("build", []):
        print(f"{peer['name']}: {' '.join(command)}", file=sys.stderr)
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise bench.Failure(f"{' '.join(command)} ended with {done.returncode}: "
                                f"{(done.stderr or done.stdout).strip()[-1000:]}")
    stamp.write_text(wanted)
    return folder


class Peer(bench.Contender):
    """A contender with a folder of its own and, where it wants one, a configuration file for each run."""

    def __init__(self, peer, folder, case, places):
        program = peer["command"][0]
        command = [program if "{" in program else find_program(program), *peer["command"][1:]]
        if isinstance(case, bench.ProgramCase):
            command += case.subject[1:]
        super().__init__(peer["name"], command, case, {**places, "peer": folder}, peer.get("environment"))
        self.peer, self.folder = peer, folder

    def prepare(self, port):
        config = pathlib.Path(self.places["tmp"]) / f"{self.name}.conf"
        if "template" in self.peer:
            text = (self.folder / self.peer["template"]).read_text()
            tls = isinstance(self.case, ProtocolCase)
            for name, value in {"port": port, "tmp": self.places["tmp"], **self.peer["tls" if tls else "plain"]}.items():
                text = text.replace(f"@{name}@", str(value).format(**self.places))
            config.write_text(text)
        return {"config": config}

    def round(self, count):
        super().round(max(int(count * self.peer.get("scale", 1)), 2000))


# ---------------------------------------------------------------------------------------------------------- measuring

class Protocol:
    """What stands in for bench.load in a contender whose case is a ProtocolCase."""

    def round(self, count):
        case = self.case
        with bench.serving(self.command, self.places, environment=self.environment, prepare=self.prepare) as (process, port):
            check(case, port)
            h2load(case, port, max(count // 10, 100))
            before = cpu_seconds(process.pid)
            rate = h2load(case, port, count)
            used = cpu_seconds(process.pid) - before
            self.samples.append({"cpu_us": used / count * 1e6, "requests_per_second": rate, "rss_mib": bench.resident(process.pid)})


class ProtocolAshlar(Protocol, bench.Contender):
    pass


class ProtocolPeer(Protocol, Peer):
    pass


def check(case, port):
    answer = bench.output_of(["curl", "-sk", "--http2" if case.name == "http2" else "--http1.1", "-w", "\n%{http_version}",
                              f"https://127.0.0.1:{port}{case.path}"], bench.LOAD_CORE)
    body, version = answer.rsplit("\n", 1)
    if case.expect not in body or version != ("2" if case.name == "http2" else "1.1"):
        raise bench.Failure(f"the answer was {body!r} by HTTP/{version}")


def h2load(case, port, count):
    """Requests a second."""
    url = f"https://127.0.0.1:{port}{case.path}"
    if case.name == "handshakes":   # h2load keeps its connections: one for each request
        clients = ["-c", str(min(count, 1000)), "-n", str(min(count, 1000))]
        rate = 0.0
        for _ in range(-(-count // 1000)):
            rate = requests_a_second(["h2load", "-t1", *clients, *case.h2load, url], min(count, 1000))
        return rate
    return requests_a_second(["h2load", "-t1", "-n", str(count), *case.h2load, url], count)


def requests_a_second(command, count):
    text = bench.output_of(command, bench.LOAD_CORE)
    if f"{count} succeeded" not in text:
        raise bench.Failure(f"{' '.join(command)}: {text[-500:]}")
    return float(text.split("finished in ")[1].split(", ")[1].split(" ")[0])


def cpu_seconds(pid):
    return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) * 1e-9


def make_certificate(tmp):
    certificate, key = pathlib.Path(tmp) / "bench.crt", pathlib.Path(tmp) / "bench.key"
    bench.output_of(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                     "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", str(key),
                     "-out", str(certificate)], bench.LOAD_CORE)
    (pathlib.Path(tmp) / "bench.pem").write_text(certificate.read_text() + key.read_text())
    return {"certificate": certificate, "key": key}


def measure(case, peers, places, options):
    if isinstance(case, ProtocolCase):
        contenders = [ProtocolAshlar("ashlar", case.subject, case, places)]
        contenders += [ProtocolPeer(peer, folder, case, places) for peer, folder in peers if case.name in peer["cases"]]
    else:
        contenders = [bench.Contender("floor", case.floor, case, places), bench.Contender("ashlar", case.subject, case, places)]
        contenders += [Peer(peer, folder, case, places) for peer, folder in peers if case.name in peer["cases"]]
    count, failed = int((case.count if isinstance(case, bench.ProgramCase) else case.requests) * options.scale), {}
    for number in range(options.rounds):
        for contender in list(contenders):
            bench.progress(f"{case.name}: round {number + 1} of {options.rounds}, {contender.name}")
            try:
                contender.round(count)
            except bench.Failure as failure:
                failed[contender.name] = str(failure)
                contenders.remove(contender)
    bench.progress("")
    floor = next((contender for contender in contenders if contender.name in ("floor", "nginx")), None)
    for contender in contenders:
        contender.finish()
        if floor:
            contender.result["cpu_ratio"] = statistics.median(
                mine["cpu_us"] / other["cpu_us"] for mine, other in zip(contender.samples, floor.samples))
    return {contender.name: contender.result for contender in contenders}, failed


# ------------------------------------------------------------------------------------------------------------- report

def columns(case):
    """Title, key and form of each. What is counted: requests, or what the program counts."""
    unit, rate = "a request", "requests/s"
    if case in CLIENTS:
        unit, rate = ("a row", "rows/s") if case == "pg-copy" else ("a query", "queries/s")
    return [(f"CPU µs {unit}", "cpu_us", "{:.2f}"), ("× floor", "cpu_ratio", "{:.2f}"),
            (rate, "per_second" if case in CLIENTS else "requests_per_second", "{:,.0f}"),
            *([] if case in CLIENTS else [("p50 µs", "p50_us", "{:,.0f}"), ("p99 µs", "p99_us", "{:,.0f}"),
                                          ("RSS MiB", "rss_mib", "{:.1f}")])]


def ordered(by_name):
    return sorted(by_name.items(), key=lambda item: (item[0] != "floor", item[1]["cpu_us"]))


@dataclasses.dataclass
class Document:
    """A page of docs/benchmarks/ with its chart and its numbers."""
    page: str
    files: str          # of the chart and the numbers
    cases: tuple
    arguments: str
    title: str
    text: list
    other: str = ""     # the other page
    link: str = ""


DOCUMENTS = [
    Document("README.md", "cpu", SERVERS, "peers servers", "Beside other servers", [
        "Written by `./x bench peers servers`, which builds each peer and measures all of them in turns: same work, same core, "
        "same load, medians. CPU time is that of the whole server process, kernel included; the floor is a bare epoll loop "
        "that sends a prepared answer. Ashlar runs with routing, typed binding, validation, request ids, security headers and "
        "metrics on, as they are by default, the others without; `fastapi-full` is FastAPI with the same. [How it is "
        "measured](../../benchmarks/README.md).{other}"], "beside other PostgreSQL clients", "postgresql.md"),
    Document("postgresql.md", "postgresql", CLIENTS, "peers clients", "Beside other PostgreSQL clients", [
        "Written by `./x bench peers clients`, which builds each peer and measures all of them in turns, each on one core with "
        "the server on another; medians. CPU time is that of the client's process, kernel included; the floor is a bare loop "
        "over libpq in pipeline mode, in binary, that keeps as many queries in flight. Ashlar pipelines implicitly on one "
        "connection. The others do as their users do: a pool of eight connections for as many tasks, one blocking connection "
        "for libpqxx. A batch is one implicit transaction with one Sync, less work for both sides; sqlx has none, and that of libpqxx "
        "takes no parameters. [How it is measured](../../benchmarks/README.md).{other}"],
        "beside other servers", "README.md"),
]


def markdown(document, results, described, versions):
    other = f" There is a page [{document.other}]({document.link}), too." if (DOCS / document.link).exists() else ""
    lines = [f"# {document.title}", "", *(line.replace("{other}", other) for line in document.text), "",
             f"{versions['machine']}. Trust the order and the ratios of one table, not its times: machines differ.", "",
             f"![CPU time]({document.files}.svg)", ""]
    for case, by_name in results.items():
        titles = columns(case)
        lines += [f"## {case}", "", f"{described[case]}.", "",
                  "| who | " + " | ".join(title for title, _, _ in titles) + " |", "|---" * (len(titles) + 1) + "|"]
        for name, result in ordered(by_name):
            cells = [form.format(result[key]) if key in result else "" for _, key, form in titles]
            shown = f"**{name}**" if name == "ashlar" else name
            lines.append(f"| {shown} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += ["## Who", "", "| who | what | version |", "|---|---|---|"]
    lines += [f"| {name} | {what} | {version} |" for name, what, version in versions["peers"]]
    lines += ["", "## Repeat it", "", "```sh", f"./x bench {document.arguments}", "```", ""]
    return "\n".join(lines)


def chart(results):
    """Bars on a logarithmic scale, a group a case, the least CPU first."""
    import math
    groups = [(case, [(name, result["cpu_us"]) for name, result in ordered(by_name)])
              for case, by_name in results.items() if case != "pipelined"]
    groups = [(case, bars) for case, bars in groups if len(bars) > 1]
    values = [value for _, bars in groups for _, value in bars]
    low, high = min(values) / 2, max(values) * 1.15
    left, width, row = 150, 560, 22

    def x(value):
        return left + width * (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))

    parts, y = [], 30
    for case, bars in groups:
        parts.append(f'<text class="group" x="16" y="{y + 4}">{case}</text>')
        y += 16
        for name, value in bars:
            kind = "us" if name == "ashlar" else "floor" if name == "floor" else "peer"
            parts.append(f'<text class="name {kind}" x="{left - 8}" y="{y + 12}">{name}</text>'
                         f'<rect class="{kind}" x="{left}" y="{y + 1}" width="{x(value) - left:.1f}" height="{row - 7}" rx="2"/>'
                         f'<text class="value" x="{x(value) + 6:.1f}" y="{y + 12}">{value:.{1 if value >= 1 else 2}f}</text>')
            y += row
        y += 22
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 780 {y}" role="img" aria-label="CPU time, by program">
<style>
  svg {{ font: 12px system-ui, sans-serif; background: #fff; }}
  text {{ fill: #333; }} .group {{ font-weight: 600; font-size: 13px; }} .name {{ text-anchor: end; }} .value {{ fill: #666; }}
  rect.peer {{ fill: #b8c0cc; }} rect.floor {{ fill: #d9dde3; }} rect.us {{ fill: #2563eb; }} text.us {{ font-weight: 600; }}
  @media (prefers-color-scheme: dark) {{
    svg {{ background: #0d1117; }} text {{ fill: #d5dae1; }} .value {{ fill: #9aa4b2; }}
    rect.peer {{ fill: #4b5563; }} rect.floor {{ fill: #2d333b; }} rect.us {{ fill: #60a5fa; }}
  }}
</style>
<text class="value" x="{left}" y="16">CPU µs, logarithmic: shorter is better</text>
{chr(10).join(parts)}
</svg>
"""


def version_of(peer, folder):
    def first_line(command):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        return (done.stdout + done.stderr).strip().splitlines()[0] if done.returncode == 0 else ""

    try:
        if "version" in peer:
            return first_line(peer["version"])
        if (folder / "Cargo.lock").exists():
            lines, wanted = (folder / "Cargo.lock").read_text().split("[[package]]"), peer["name"]
            for block in lines:
                if f'name = "{wanted}"\n' in block:
                    return block.split('version = "')[1].split('"')[0]
        if (folder / "venv").exists():
            return ", ".join(line.replace("==", " ") for line in subprocess.run(
                ["venv/bin/pip", "freeze"], cwd=folder, capture_output=True, text=True).stdout.splitlines()
                if line.split("==")[0] in ("fastapi", "uvicorn", "pydantic"))
        if (folder / "package.json").exists():
            version = json.loads((folder / "node_modules" / "fastify" / "package.json").read_text())["version"]
            return f"{version}, Node.js {first_line(['node', '--version'])}"
        if (folder / "go.mod").exists():
            modules = (folder / "go.mod").read_text().split()
            fiber = modules[modules.index("github.com/gofiber/fiber/v2") + 1] if "fiber" in peer["name"] else ""
            return f"{fiber} {first_line(['go', 'version']).removeprefix('go version ')}".strip()
        return first_line([find_program(peer["name"]), "-v"]).replace("nginx version: nginx/", "").split(" 20")[0]
    except (OSError, KeyError, IndexError, ValueError):
        return ""


def write(document, results, ready, cases):
    DOCS.mkdir(parents=True, exist_ok=True)
    versions = {"machine": machine(), "peers": [(peer["name"], peer["what"], version_of(peer, folder)) for peer, folder in ready
                                                if set(peer["cases"]) & set(document.cases)]}
    described = {name: cases[name].what for name in results}
    (DOCS / document.page).write_text(markdown(document, results, described, versions))
    (DOCS / f"{document.files}.svg").write_text(chart(results))
    numbers = "results" if document.page == "README.md" else document.files
    (DOCS / f"{numbers}.json").write_text(json.dumps(results, indent=1) + "\n")
    print(f"written: {(DOCS / document.page).relative_to(bench.ROOT)}")


def machine():
    model = next((line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return f"Linux {platform.release().split('-')[0]}, {len(os.sched_getaffinity(0))} cores of {model}"


# --------------------------------------------------------------------------------------------------------------- main

def main(arguments):
    parser = argparse.ArgumentParser(prog="bench peers", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE",
                        help=f"servers, clients, or of {', '.join(SERVERS + CLIENTS)}; all when none is named")
    parser.add_argument("--only", default="", metavar="NAME,…", help="these peers only")
    parser.add_argument("--list", action="store_true", help="list the peers and what is missing for them")
    parser.add_argument("--quick", action="store_true", help="three short rounds; writes no documents")
    parser.add_argument("--rounds", type=int, help="rounds of each contender (5; with --quick 3)")
    parser.add_argument("--build-dir", type=pathlib.Path, default=bench.ROOT / "build" / "release", help="a release build")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (3 if options.quick else 5)
    options.scale = 0.1 if options.quick else 0.5
    wanted = [name for name in options.only.split(",") if name]
    peers = [peer for peer in known_peers() if not wanted or peer["name"] in wanted]
    for name in set(wanted) - {peer["name"] for peer in peers}:
        parser.error(f"there is no peer {name}; --list shows them")
    groups = {"servers": SERVERS, "clients": CLIENTS}
    chosen = [case for name in options.cases or groups for case in groups.get(name, (name,))]
    for name in set(chosen) - set(SERVERS + CLIENTS):
        parser.error(f"there is no case {name} for peers; there are servers, clients, {', '.join(SERVERS + CLIENTS)}")
    peers = [peer for peer in peers if set(peer["cases"]) & set(chosen)]
    if options.list:
        for peer in peers:
            print(f"{peer['name']:12} {peer['what']}{''.join(f'; missing: {one}' for one in missing(peer))}")
        return 0

    bench.build(options.build_dir)
    ready = []
    for peer in peers:
        if lacking := missing(peer):
            print(f"{peer['name']}: skipped, {', '.join(lacking)} is missing", file=sys.stderr)
            continue
        try:
            ready.append((peer, build(peer)))
        except bench.Failure as failure:
            print(f"{peer['name']}: skipped, it cannot be built: {failure}", file=sys.stderr)

    cases = {case.name: case for case in bench.CASES + PROTOCOLS}
    for tool in ("h2load", "curl", "openssl"):
        if not shutil.which(tool) and any(isinstance(cases[name], ProtocolCase) for name in chosen):
            print(f"the cases over TLS are skipped: {tool} is missing (apt-get install nghttp2-client curl openssl)", file=sys.stderr)
            chosen = [name for name in chosen if not isinstance(cases[name], ProtocolCase)]
    results, failures = {}, {}
    with tempfile.TemporaryDirectory(prefix="ashlar-bench-") as tmp:
        places = dict(bin=options.build_dir / "benchmarks", build=options.build_dir, data=HERE / "data", tmp=tmp, pg="")
        if any(isinstance(cases[name], ProtocolCase) for name in chosen):
            places.update(make_certificate(tmp))
        postgres = bench.Postgres(tmp) if any(cases[name].needs_pg for name in chosen) else None
        try:
            for name in chosen:
                if cases[name].needs_pg:
                    postgres.prepare(cases[name].prepare, places)
                    places["pg"] = postgres.conninfo(cases[name].database)
                results[name], failed = measure(cases[name], ready, places, options)
                failures.update({f"{name}, {who}": why for who, why in failed.items()})
        finally:
            if postgres:
                postgres.stop()
    print(bench.table(results))
    for what, why in failures.items():
        print(f"not measured: {what}: {why}", file=sys.stderr)
    if not options.quick and not wanted:
        for document in DOCUMENTS:
            if set(document.cases) <= set(results):
                write(document, {name: results[name] for name in document.cases}, ready, cases)
    return 1 if failures else 0
