"""Median and 99th percentile of the point query: with 1 to 256 connections, and at shares of the highest rate.

At a share of the highest rate 256 connections ask independently of each other, each after a random pause.
"""

import json
import re
import subprocess

from harness import POINT, USERS, summary

TARGET = "shown: p50 and p99 at 50 % and 90 % of saturation, 1 to 256 connections"
CONNECTIONS = (1, 4, 16, 64, 256)
SHARES = (0.5, 0.9)
UNITS = {"us": 0.001, "ms": 1, "s": 1_000}


def once(bench, server, connections, pause_ms=0.0):
    """Requests in a second, and the two percentiles in ms."""
    body = json.dumps({"query": POINT, "variables": "@"}).replace('"@"', '{"id":%d}')
    script = bench.work / "latency.lua"
    # Exponential, so that the connections do not fall into step; whole milliseconds are what wrk can wait.
    pause = f"function delay() return math.floor(0.5 - {pause_ms} * math.log(1 - math.random())) end\n"
    script.write_text(
        'wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\n'
        f"local body = [==[{body}]==]\n"
        f"request = function() return wrk.format(nil, nil, nil, (body:gsub('%%d', math.random(1, {USERS})))) end\n"
        + (pause if pause_ms else "")
    )
    url = f"http://127.0.0.1:{server.port}{server.path}"
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{bench.seconds}s", "--latency", "-s", str(script)]
    text = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(f"wrk: {text}")

    def percentile(share):
        number, unit = re.search(rf"^\s+{share}%\s+([\d.]+)(us|ms|s)$", text, re.MULTILINE).groups()
        return float(number) * UNITS[unit]

    return float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)), percentile(50), percentile(99)


def lines(name, found):
    rate = f"{sorted(rate for rate, _, _ in found)[len(found) // 2]:,.0f}/s"
    yield {"what": f"{name}, {rate}: p50", "ours": summary([p50 for _, p50, _ in found]), "unit": "ms"}
    yield {"what": f"{name}, {rate}: p99", "ours": summary([p99 for _, _, p99 in found]), "unit": "ms"}


def measure(bench):
    server = bench.blog_server()
    measures = [lambda count=count: once(bench, server, count) for count in CONNECTIONS]
    closed = bench.rounds_of(*measures)
    for count, found in zip(CONNECTIONS, closed):
        yield from lines(f"{count} connections", found)
    highest = max(summary([rate for rate, _, _ in found])["median"] for found in closed)
    many = CONNECTIONS[-1]
    pauses = [many / (share * highest) * 1_000 for share in SHARES]
    shares = bench.rounds_of(*[lambda pause=pause: once(bench, server, many, pause) for pause in pauses])
    for share, found in zip(SHARES, shares):
        yield from lines(f"{share:.0%} of the highest rate", found)
