"""The modes of pg_bench.cpp by asyncpg: DEPTH tasks share a pool of eight connections.

main.py CONNINFO DEPTH COUNT [WARM_UP [MODE]]
"""
import asyncio
import json
import sys
import time

import asyncpg
import uvloop

SQL = {"updates": "update world set random_number = $2 where id = $1", "fortunes": "select id, message from fortune"}
ONE = "select id, random_number from world where id = $1"


class Progress:
    def __init__(self, count):
        self.left, self.sum = count, 0


number = 0


def next_id():
    global number
    number = (number + 7919) % 10_000
    return number


async def one(pool, progress):
    row = await pool.fetchrow(ONE, next_id() + 1)
    progress.sum += row["id"] + row["random_number"]


async def work(pool, progress, mode):
    while progress.left > 0:
        progress.left -= 20 if mode in ("queries", "batch") else 1
        if mode == "queries":
            await asyncio.gather(*(one(pool, progress) for _ in range(20)))
        elif mode == "batch":
            for row in await pool.fetchmany(ONE, [(next_id() + 1,) for _ in range(20)]):
                progress.sum += row["id"] + row["random_number"]
        elif mode == "updates":
            new = next_id()
            tag = await pool.execute(SQL[mode], new + 1, new)
            progress.sum += int(tag.split()[-1])
        elif mode == "fortunes":
            for row in await pool.fetch(SQL[mode]):
                progress.sum += row["id"] + len(row["message"])
        else:
            await one(pool, progress)


async def run(pool, depth, count, mode):
    if mode == "copy":
        rows = [(row, "a name of some length", row / 8) for row in range(count, 0, -1)]
        await pool.copy_records_to_table("bulk", records=rows, columns=["id", "name", "value"])
        return count
    progress = Progress(count)
    await asyncio.gather(*(work(pool, progress, mode) for _ in range(depth)))
    return progress.sum


async def main(url, depth, count, warm_up=0, mode="single"):
    async with asyncpg.create_pool(url, min_size=8, max_size=8) as pool:
        if int(warm_up):
            await run(pool, int(depth), int(warm_up), mode)
        if mode == "copy":
            await pool.execute("truncate bulk")
        cpu, begin = time.process_time(), time.monotonic()
        checksum = await run(pool, int(depth), int(count), mode)
        cpu, seconds = time.process_time() - cpu, time.monotonic() - begin
    print(json.dumps({"cpu_us": cpu * 1e6 / int(count), "per_second": int(count) / seconds, "checksum": checksum}))


uvloop.run(main(*sys.argv[1:]))
