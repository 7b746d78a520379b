"""What it costs to be watched: spans to a collector, and the audit log of mutations; each against without."""

import os
import subprocess

from harness import POINT, USERS, free_port, summary

from rows.create import CONNECTIONS, MUTATION

TARGET = "costs what it must"


def collector(bench):
    """A real collector that throws away what it takes; `None` where `make setup` found none."""
    program = os.environ.get("FRAISEQL_TEST_ROTEL")
    if program is None:
        return None, None
    http, grpc = free_port(), free_port()
    words = ["start", "--exporter", "blackhole", "--pid-file", str(bench.work / "rotel.pid")]
    words += ["--otlp-http-endpoint", f"127.0.0.1:{http}", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([program, *words], **quiet), f"http://127.0.0.1:{http}"


def against(bench, what, watched, bare, document):
    ours, theirs = bench.rounds_of(
        bench.load(watched, document, USERS, CONNECTIONS), bench.load(bare, document, USERS, CONNECTIONS)
    )
    return {
        "what": what,
        "ours": summary([rate for rate, _ in ours]),
        "against": summary([rate for rate, _ in theirs]),
        "unit": "requests/s, without",
        "ratio": summary([one[0] / other[0] for one, other in zip(ours, theirs)]),
    }


def measure(bench):
    bare = bench.blog_server()
    process, url = collector(bench)
    if process:
        try:
            for percent in (10, 100):
                watched = bench.serve(
                    bench.work / "blog", "app", f"tracing.endpoint={url}", f"tracing.sample_percent={percent}"
                )
                yield against(bench, f"point, spans of {percent} %", watched, bare, POINT)
                watched.stop()
        finally:
            process.kill()
            process.wait()
    bench.psql("-f", "-", text=bench.fraiseql("audit", "init", "--role", "bench"))
    watched = bench.serve(bench.work / "blog", "app", "audit.mutations=database")
    yield against(bench, "create post and read it, audit log", watched, bare, MUTATION)
    watched.stop()
    bench.sql("DELETE FROM posts WHERE id > 1000000")
    bench.sql("VACUUM ANALYZE posts")
