"""A list of some 30 MB: when its first byte comes, and what it costs the server in memory."""

import json
import socket
import time

from harness import memory_mib, reset_peak, summary

TARGET = "streams; less than 64 MiB above idle"
QUERY = "{users(orderBy:{id:ASC}){id name email bio posts{id title body comments{id body author{id name}}}}}"


def fetch(server):
    """Reads a whole answer; returns seconds to its first byte, to its last, and its size."""
    body = json.dumps({"query": QUERY}).encode()
    head = f"POST /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n"
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port)) as stream:
        stream.sendall(head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body)
        first_part = stream.recv(1 << 16)
        first, size = time.monotonic() - begin, len(first_part)
        if not first_part.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"not an answer: {first_part[:300]!r}")
        while part := stream.recv(1 << 16):
            size += len(part)
    return first, time.monotonic() - begin, size


def measure(bench):
    server = bench.serve(bench.work / "blog") if bench.blog_server() else None
    server.ask("{user(id:1){id}}")
    idle = memory_mib(server.pid)

    def once():
        reset_peak(server.pid)
        first, whole, size = fetch(server)
        return first * 1000, whole * 1000, size / 1e6, memory_mib(server.pid, "VmHWM") - idle

    (figures,) = bench.rounds_of(once)
    server.stop()
    yield {"what": f"list of {figures[0][2]:.1f} MB: first byte", "ours": summary([f[0] for f in figures]), "unit": "ms"}
    yield {"what": "the same: last byte", "ours": summary([f[1] for f in figures]), "unit": "ms"}
    yield {"what": "the same: peak memory above idle", "ours": summary([f[3] for f in figures]), "unit": "MiB"}
