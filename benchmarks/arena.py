"""The public benchmark's profiles, in small, on examples/arena: CPU time a request, requests a second of CPU time.

  ./x bench arena                 all profiles
  ./x bench arena json static     some
  ./x bench arena --list          what there is
  ./x bench arena --quick         three short rounds

One server core, load from another; medians. The profiles with a database start a PostgreSQL of their own with 100 000 rows, whose CPU
time is not counted: it is that of the service. crud is measured verb by verb, api-4 on one core. Over TLS and HTTP/2 h2load is the client (Debian: nghttp2-client).
"""
import argparse
import dataclasses
import pathlib
import random
import shutil
import statistics
import sys
import tempfile

import bench
import peers

ARENA = ["{build}/examples/arena/arena", "serve", "--host", "127.0.0.1", "--port", "{port}", "--threads", "1"]
TLS = ARENA + peers.TLS
DATA = bench.ROOT / "examples" / "arena" / "data" / "items.json"

# The kinds of a web page, and bytes of each; images do not compress.
FILES = {"html": (4_000, 12_000, 30_000), "css": (2_000, 15_000, 60_000), "js": (5_000, 40_000, 120_000, 250_000),
         "json": (1_000, 8_000, 50_000), "svg": (1_500, 6_000), "txt": (500, 20_000), "png": (3_000, 40_000, 200_000)}


def case(name, what, path, expect="", **more):
    return bench.HttpCase(name, what, path, [], ARENA, expect=expect, **more)


def over_tls(name, what, path, expect, *h2load, requests):
    return peers.ProtocolCase(name, what, path, [], TLS, expect=expect, requests=requests, h2load=h2load)


@dataclasses.dataclass
class StoredCase(bench.HttpCase):
    """One with a database."""
    same_length: bool = False


def stored(name, what, path, expect="", **more):
    return StoredCase(name, what, path, [], ARENA, expect=expect, **more)


ONE_BY_ONE, STREAMS = ("--h1", "-c", "64", "-m", "1"), ("-c", "8", "-m", "32")
CASES = [
    case("baseline", "GET /baseline11?a=13&b=42", "/baseline11?a=13&b=42", "55"),
    case("post", "POST the same with 20 in the body", "/baseline11?a=13&b=42", "75", method="POST", body="{tmp}/twenty"),
    case("post-chunked", "POST the same, the body in a chunk", "/baseline11?a=13&b=42", "75", method="POST", body="{tmp}/twenty",
         flags=("--chunked",)),
    case("pipelined", "GET /pipeline, 16 at once", "/pipeline", "ok", depth=16, requests=2_000_000),
    case("short-lived", "GET /baseline11, ten requests a connection", "/baseline11?a=13&b=42", "55",
         flags=("--per-connection", "10"), requests=100_000),
    case("json", "GET /json/25?m=3", "/json/25?m=3", '"count":25', requests=100_000),
    case("json-gzip", "the same, gzip", "/json/25?m=3", requests=20_000, flags=("--header", "Accept-Encoding: gzip")),
    case("json-br", "the same, br", "/json/25?m=3", requests=20_000, flags=("--header", "Accept-Encoding: br")),
    case("static", "GET /static/{file}, 20 files of 0.5 to 250 KB", "@{tmp}/paths", requests=60_000, same_length=False),
    case("static-br", "the same with Accept-Encoding: br, gzip", "@{tmp}/paths", requests=60_000, same_length=False,
         flags=("--header", "Accept-Encoding: br, gzip")),
    case("upload", "POST /upload of 2 MB", "/upload", "2000000", method="POST", body="{tmp}/upload", requests=2_000,
         connections=16),
    case("websocket", "text messages of 32 bytes to /ws and back", "/ws", body="{tmp}/message", flags=("--websocket",)),
    stored("async-db", "GET /async-db, 20 prices wide, 20 rows, of 100 000", "@{tmp}/prices", '"count":20', requests=60_000),
    stored("crud-read", "GET /crud/items/{1..1000}, cached for 200 ms", "/crud/items/{1..1000}", '"rating"', requests=100_000),
    stored("crud-list", "GET /crud/items, 10 of a category", "/crud/items?category=books&page=3&limit=10", '"total":10', requests=60_000),
    stored("crud-update", "PUT /crud/items/{1..1000}", "/crud/items/{1..1000}", '"price":25', requests=30_000, method="PUT",
           body="{tmp}/change"),
    stored("crud-create", "POST /crud/items, an upsert", "/crud/items", '"id":200001', requests=30_000, method="POST", body="{tmp}/item"),
    stored("api-4", "3 baseline, 3 json, 2 async-db in turn, 5 requests a connection", "@{tmp}/api", requests=60_000,
           flags=("--per-connection", "5")),
    over_tls("json-tls", "GET /json/25?m=3 over TLS 1.3 by HTTP/1.1", "/json/25?m=3", '"count":25', *ONE_BY_ONE, requests=60_000),
    over_tls("baseline-h2", "GET /baseline11 over TLS 1.3 by HTTP/2", "/baseline11?a=13&b=42", "55", *STREAMS, requests=300_000),
    over_tls("json-h2", "GET /json/25?m=3 over TLS 1.3 by HTTP/2", "/json/25?m=3", '"count":25', *STREAMS, requests=100_000),
    over_tls("static-h2", "GET /static/js-40000.js over TLS 1.3 by HTTP/2", "/static/js-40000.js", "js", *STREAMS, requests=30_000),
]


def make_files(folder):
    """Files of a size and kind, text that compresses about as a page does, the same at each run; gives their paths."""
    chance, words = random.Random(1), "the of and class function return const value margin padding color section data item".split()
    folder.mkdir()
    for kind, sizes in FILES.items():
        for size in sizes:
            data = chance.randbytes(size) if kind == "png" else kind.encode() + b" "
            while len(data) < size:
                data += f"{chance.choice(words)}{chance.randrange(1000)} ".encode()
            (folder / f"{kind}-{size}.{kind}").write_bytes(data[:size])
    return sorted(f"/static/{file.name}" for file in folder.iterdir())


def make_data(tmp):
    (tmp / "paths").write_text("\n".join(make_files(tmp / "static")) + "\n")
    (tmp / "twenty").write_text("20")
    (tmp / "message").write_text("a message of thirty-two letters.")
    (tmp / "upload").write_bytes(random.Random(2).randbytes(2_000_000))
    prices = [f"/async-db?min={low}&max={low + 20}&limit=20" for low in range(1, 480, 7)]
    (tmp / "prices").write_text("\n".join(prices) + "\n")
    api = ["/baseline11?a=13&b=42"] * 3 + ["/json/25?m=3"] * 3 + ["{}", "{}"]
    turns = [path.format(random.Random(i).choice(prices)) for i in range(50) for path in api]
    (tmp / "api").write_text("\n".join(turns) + "\n")
    (tmp / "change").write_text('{"name":"another name","price":25,"quantity":3}')
    (tmp / "item").write_text('{"id":200001,"name":"new","category":"books","price":30,"quantity":4,"active":true,"tags":["new"]}')
    return {"ARENA_ITEMS": str(DATA), "ARENA_FILES": str(tmp / "static")}


def measure(one, places, environment, options):
    kind = peers.ProtocolAshlar if isinstance(one, peers.ProtocolCase) else bench.Contender
    contender = kind("ashlar", one.subject, one, places, environment)
    for number in range(options.rounds):
        bench.progress(f"{one.name}: round {number + 1} of {options.rounds}")
        contender.round(int(one.requests * options.scale))
    bench.progress("")
    contender.finish()
    return contender.result


COLUMNS = [("CPU µs", "cpu_us", "{:,.2f}"), ("requests/CPU s", "per_cpu_second", "{:,.0f}"),
           ("requests/s", "requests_per_second", "{:,.0f}"), ("p50 µs", "p50_us", "{:,.0f}"), ("p99 µs", "p99_us", "{:,.0f}"),
           ("RSS MiB", "rss_mib", "{:.1f}")]


def main(arguments):
    parser = argparse.ArgumentParser(prog="bench arena", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="PROFILE", help="profiles to measure; all when none is named")
    parser.add_argument("--list", action="store_true", help="list the profiles")
    parser.add_argument("--quick", action="store_true", help="three short rounds")
    parser.add_argument("--build-dir", type=pathlib.Path, default=bench.ROOT / "build" / "release", help="a release build")
    options = parser.parse_args(arguments)
    options.rounds, options.scale = (3, 0.1) if options.quick else (5, 1.0)
    known = {one.name: one for one in CASES}
    if options.list:
        for one in CASES:
            print(f"{one.name:12} {one.what}")
        return 0
    for name in set(options.cases) - set(known):
        parser.error(f"there is no profile {name}; there are {', '.join(known)}")
    bench.build(options.build_dir)
    chosen = [known[name] for name in options.cases or known]
    if not shutil.which("h2load"):
        print("the profiles over TLS are skipped: h2load is missing (apt-get install nghttp2-client)", file=sys.stderr)
        chosen = [one for one in chosen if not isinstance(one, peers.ProtocolCase)]

    rows, failures = [["profile"] + [title for title, _, _ in COLUMNS]], []
    with tempfile.TemporaryDirectory(prefix="ashlar-bench-") as tmp:
        places = dict(bin=options.build_dir / "benchmarks", build=options.build_dir, tmp=tmp, **peers.make_certificate(tmp))
        environment = make_data(pathlib.Path(tmp))
        for one in chosen:
            try:
                own = {"ARENA_ROWS": "100000", "ASHLAR_DATA_DIR": f"{tmp}/database"} if isinstance(one, StoredCase) else {}
                result = measure(one, places, {**environment, **own}, options)
            except bench.Failure as failure:
                bench.progress("")
                failures.append(f"{one.name}: {failure}")
                continue
            result["per_cpu_second"] = 1e6 / statistics.median(result["cpu_us_all"])
            rows.append([one.name] + [form.format(result[key]) if key in result else "" for _, key, form in COLUMNS])
    print(bench.aligned(rows, left=1))
    for failure in failures:
        print(f"not measured: {failure}", file=sys.stderr)
    return 1 if failures else 0
