"""Resident memory at idle, under load and after it. HOURS says how long the load lasts; 30 s when it is not set."""

import time

from harness import NESTED, NESTED_FROM, POINT, USERS, memory_mib

TARGET = "30 MiB at idle and after an hour of load"
SHORT_SECONDS = 30
SLICE_SECONDS = 5


def measure(bench):
    bench.blog_server()
    server = bench.serve(bench.work / "blog")
    server.ask(POINT, {"id": 1})
    idle = memory_mib(server.pid)
    seconds = bench.hours * 3600 or SHORT_SECONDS
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        bench.wrk(server, POINT, USERS, 64, SLICE_SECONDS)
        bench.wrk(server, NESTED, NESTED_FROM, 64, SLICE_SECONDS)
    after, peak = memory_mib(server.pid), memory_mib(server.pid, "VmHWM")
    server.stop()
    for what, value in (("at idle", idle), (f"after {seconds:.0f} s of load", after), ("highest", peak)):
        yield {"what": f"resident memory {what}", "ours": {"median": value, "min": value, "max": value}, "unit": "MiB"}
