"""Point and nested query against pgbench with the very statement that fraiseql sends."""

from harness import NESTED, NESTED_FROM, POINT, USERS, summary

TARGET = "point 0.55 (aim 0.70), nested 0.70 (0.85); server CPU 35 / 120 us (20 / 60)"


def measure(bench):
    server = bench.blog_server()
    for connections in (8, 64):
        for name, query, top in (("point", POINT, USERS), ("nested", NESTED, NESTED_FROM)):
            script = f"\\set id random(1, {top})\n{bench.statement(server, query)};\n"
            size = len(server.ask(query, {"id": 77}))
            ours, theirs = bench.rounds_of(
                bench.load(server, query, top, connections), lambda: bench.pgbench(script, connections)
            )
            ratio = summary([one[0] / other for one, other in zip(ours, theirs)])
            yield {
                "what": f"{name}, {size} bytes, {connections} connections",
                "ours": summary([rate for rate, _ in ours]),
                "against": summary(theirs),
                "unit": "requests/s, pgbench tx/s",
                "ratio": ratio,
            }
            yield {
                "what": f"{name}, {connections} connections: server CPU",
                "ours": summary([cpu for _, cpu in ours]),
                "unit": "us a request",
            }
