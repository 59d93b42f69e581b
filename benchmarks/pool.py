"""What 512 waiting coroutines get from a pool as it is by default, beside pools of fixed numbers of connections.

  ./x bench pool [--rounds N] [--waiting N] [--no-build]

Each asks for one row by its key, again and again, on one core; PostgreSQL runs on another one. A default pool looks for
its number of connections while queries queue up, so all are measured after two seconds of that. The last column
compares with the best of the same round: the median of the rounds' ratios.
"""
import argparse
import json
import pathlib
import statistics
import tempfile

import bench

DEFAULT = 0
CONNECTIONS = (DEFAULT, 1, 2, 3, 4, 8, 16)
WARM_UP = 80_000


def main(arguments):
    parser = argparse.ArgumentParser(prog="bench pool", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--waiting", type=int, default=512, metavar="N", help="coroutines (512)")
    parser.add_argument("--queries", type=int, default=100_000, metavar="N", help="of a run (100000)")
    parser.add_argument("--build-dir", type=pathlib.Path, default=bench.ROOT / "build" / "release", help="a release build")
    parser.add_argument("--no-build", action="store_true", help="measure what is built")
    options = parser.parse_args(arguments)
    if not options.no_build:
        bench.build(options.build_dir)
    rounds = []
    with tempfile.TemporaryDirectory(prefix="ashlar-bench-") as tmp:
        postgres = bench.Postgres(tmp)
        try:
            postgres.prepare("make_world", {})
            for number in range(options.rounds):
                rounds.append({})
                for connections in CONNECTIONS if number % 2 == 0 else reversed(CONNECTIONS):
                    bench.progress(f"pool: round {number + 1} of {options.rounds}, {connections or 'default'} connections")
                    rounds[-1][connections] = json.loads(bench.output_of(
                        [str(options.build_dir / "benchmarks" / "pg_bench"), postgres.conninfo(), str(options.waiting),
                         str(options.queries), str(WARM_UP), "pool", str(connections)], bench.SERVER_CORE))
        finally:
            postgres.stop()
    bench.progress("")
    rows = [["connections", "queries/s", "CPU µs", "p50 µs", "p99 µs", "of the best"]]
    for connections in CONNECTIONS:
        def median(key):
            return statistics.median(one[connections][key] for one in rounds)
        part = statistics.median(one[connections]["per_second"] / max(other["per_second"] for other in one.values())
                                 for one in rounds)
        rows.append([str(connections or "default"), f"{median('per_second'):,.0f}", f"{median('cpu_us'):.2f}", f"{median('p50_us'):,.0f}",
                     f"{median('p99_us'):,.0f}", f"{part:.0%}"])
    print(bench.aligned(rows, left=1))
    return 0
