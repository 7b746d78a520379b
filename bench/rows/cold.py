"""Parse, validate and plan of a text that no cache knows, with 30 fields. No server and no database take part."""

import os
import subprocess

from harness import Skip

TARGET = "150 us (aim 50 us)"
QUERY = (
    "{users(where:{id:{gte:7}},orderBy:{id:ASC},limit:20){id name email bio "
    "posts(limit:5){id title body comments{id body author{id name email bio}}}} "
    "user(id:7){id name email bio posts(orderBy:{id:DESC}){id title comments{id body author{id}}}}}"
)


def measure(bench):
    if "FRAISEQL_COLD" not in os.environ:
        raise Skip("run.sh builds what this row runs only when it builds fraiseql too")
    bench.blog_server()
    command = [os.environ["FRAISEQL_COLD"], str(bench.work / "blog/schema.compiled.json"), QUERY]
    figures = []
    for _ in range(bench.rounds):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        figures.append([float(value) for value in done.stdout.split()])
    best = sorted(figures)[len(figures) // 2]
    named = {"whole": (best[0], best[1], best[2]), "parse and validate": (best[3],) * 3, "plan": (best[4],) * 3}
    for what, (median, low, high) in named.items():
        yield {"what": what, "ours": {"median": median, "min": low, "max": high}, "unit": "us"}
