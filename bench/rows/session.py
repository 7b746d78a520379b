"""With session variables for row-level security, against without them."""

from harness import POINT, USERS, summary

TARGET = "0.75 (aim 0.85)"


def measure(bench):
    bare = bench.blog_server()
    told = bench.serve(bench.work / "blog", "app", "identity.session_claims=true")
    try:
        ours, theirs = bench.rounds_of(bench.load(told, POINT, USERS, 8), bench.load(bare, POINT, USERS, 8))
    finally:
        told.stop()
    yield {
        "what": "point, 8 connections, with claims in a session variable",
        "ours": summary([rate for rate, _ in ours]),
        "against": summary([rate for rate, _ in theirs]),
        "unit": "requests/s, without",
        "ratio": summary([one[0] / other[0] for one, other in zip(ours, theirs)]),
    }
