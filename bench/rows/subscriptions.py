"""PostgreSQL's CPU for many subscribers to few queries while rows are written, against one subscriber to each."""

import asyncio
import json
import threading
import time

from harness import summary, tree_cpu_us

TARGET = "1,000 subscriptions to 10 queries, 100 writes/s: 1.5x of the 10 queries alone (aim 1.1x)"
QUERIES = 10
SUBSCRIBERS = 1_000
WRITES = 100
SETTLE_SECONDS = 2
QUERY = "subscription($id:Int!){user(id:$id){id name posts{id title body}}}"


class Subscribers:
    """Server-sent events, read by one thread: only how many results came is of interest."""

    def __init__(self, server, count):
        self.server, self.count, self.results, self.failed = server, count, 0, None
        self.ready, self.ended = threading.Event(), asyncio.Event()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=[self.run()], daemon=True)
        self.first = 0
        self.thread.start()
        if not self.ready.wait(60) or self.failed:
            raise RuntimeError(f"not every subscriber had a first result: {self.first} of {count}; {self.failed}")

    async def run(self):
        tasks = [asyncio.create_task(self.one(1 + number % QUERIES)) for number in range(self.count)]
        await self.ended.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def one(self, user):
        body = json.dumps({"query": QUERY, "variables": {"id": user}})
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(
            f"POST /graphql HTTP/1.1\r\nhost: bench\r\naccept: text/event-stream\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
        )
        try:
            begun = False
            while line := await reader.readline():
                if line.startswith(b"event: next"):
                    if not begun:
                        begun = True
                        self.first += 1
                        if self.first == self.count:
                            self.ready.set()
                    self.results += 1
            raise RuntimeError("the server ended a subscription")
        except (OSError, RuntimeError) as error:
            self.failed = error
            self.ready.set()
        finally:
            writer.close()

    def stop(self):
        self.loop.call_soon_threadsafe(self.ended.set)
        self.thread.join(30)
        if self.failed:
            raise RuntimeError(f"a subscriber: {self.failed}")


def once(bench, server, subscribers):
    """Seconds of PostgreSQL's CPU, and results, in each second of writing."""
    script = (
        "\\set user random(1, 10)\n\\set post random(1, 5)\n\\set n random(1, 1000000000)\n"
        "UPDATE posts SET title = 'Post ' || :n WHERE id = (:user - 1) * 5 + :post;\n"
    )
    reading = Subscribers(server, subscribers) if subscribers else None
    time.sleep(SETTLE_SECONDS)
    before, results = tree_cpu_us(bench.postmaster), reading.results if reading else 0
    begun = time.monotonic()
    bench.pgbench(script, 4, None, "--rate", str(WRITES))
    took = time.monotonic() - begun
    cpu = (tree_cpu_us(bench.postmaster) - before) / 1_000 / took
    seen = (reading.results - results) / took if reading else 0
    if reading:
        reading.stop()
    return cpu, seen


def measure(bench):
    bench.blog_server()
    server = bench.serve(bench.work / "blog")
    # Decoding, which needs the attribute; its cost is what is measured.
    bench.sql("ALTER ROLE bench REPLICATION")
    few, many, none = bench.rounds_of(
        lambda: once(bench, server, QUERIES),
        lambda: once(bench, server, SUBSCRIBERS),
        lambda: once(bench, server, 0),
    )
    server.stop()
    yield {
        "what": f"{SUBSCRIBERS:,} subscriptions to {QUERIES} queries against {QUERIES}: PostgreSQL's CPU",
        "ours": summary([cpu for cpu, _ in many]),
        "against": summary([cpu for cpu, _ in few]),
        "unit": "ms a second",
        "ratio": summary([one[0] / other[0] for one, other in zip(many, few)]),
    }
    yield {
        "what": f"{WRITES} writes a second without a subscription",
        "ours": summary([cpu for cpu, _ in none]),
        "unit": "ms a second",
    }
    yield {
        "what": f"results to {SUBSCRIBERS:,} subscribers",
        "ours": summary([seen for _, seen in many]),
        "unit": "a second",
    }
