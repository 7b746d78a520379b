"""What is answered when more is asked than the database can do: the curve of goodput and of its latency.

Clients ask independently of each other, each after a random pause. Goodput is what was answered with 200; its
latency is the server's own, from its log, since wrk mixes refusals in, which are quick.
"""

import json
import re
import subprocess

from harness import NESTED, NESTED_FROM, summary

TARGET = "at twice saturation goodput above 0.90 of the peak, p99 of what is admitted bounded"
CONNECTIONS = 1_024
SHARES = (0.5, 0.8, 1.0, 1.5, 2.0, 3.0)
SETTINGS = ("database.queue_max=64", "database.queue_wait_ms=250", "log.format=json", "log.slow_operation_ms=0")


def once(bench, server, pause_ms):
    """Requests asked and answered in a second, and the 99th percentile of those answered, in ms."""
    body = json.dumps({"query": NESTED, "variables": "@"}).replace('"@"', '{"id":%d}')
    script = bench.work / "overload.lua"
    script.write_text(
        'wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\n'
        f"local body = [==[{body}]==]\n"
        f"request = function() return wrk.format(nil, nil, nil, (body:gsub('%%d', math.random(1, {NESTED_FROM})))) end\n"
        f"function delay() return math.floor(0.5 - {pause_ms} * math.log(1 - math.random())) end\n"
    )
    log = bench.work / "serve.log"
    began = log.stat().st_size
    url = f"http://127.0.0.1:{server.port}{server.path}"
    command = ["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{bench.seconds}s", "-s", str(script), url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    seconds = float(re.search(r"requests in ([\d.]+)s", text).group(1))
    with open(log, encoding="utf-8") as lines:
        lines.seek(began)
        told = [json.loads(line) for line in lines if '"fraiseql.request"' in line]
    other = {line["http.response.status_code"] for line in told} - {200, 503, 499}
    if other:
        raise RuntimeError(f"answers that nobody expected: {other}")
    good = sorted(line["event.duration"] / 1e6 for line in told if line["http.response.status_code"] == 200)
    return len(told) / seconds, len(good) / seconds, good[int(len(good) * 0.99)]


def measure(bench):
    bench.blog_server()
    server = bench.serve(bench.work / "blog", "app", *SETTINGS)
    peaks = bench.rounds_of(bench.load(server, NESTED, NESTED_FROM, 16))[0]
    peak = summary([rate for rate, _ in peaks])["median"]
    yield {"what": "the peak: 16 connections without a pause", "ours": summary([rate for rate, _ in peaks]), "unit": "requests/s"}
    pauses = [CONNECTIONS / (share * peak) * 1_000 for share in SHARES]
    for share, found in zip(SHARES, bench.rounds_of(*[lambda pause=pause: once(bench, server, pause) for pause in pauses])):
        asked = summary([asked for asked, _, _ in found])["median"]
        yield {
            "what": f"{share:.1f} of it asked ({asked:,.0f}/s): goodput",
            "ours": summary([good for _, good, _ in found]),
            "ratio": summary([good / peak for _, good, _ in found]),
            "unit": "requests/s, of the peak",
        }
        yield {"what": f"{share:.1f}: p99 of what was answered", "ours": summary([p99 for _, _, p99 in found]), "unit": "ms"}
    server.stop()
