"""With an API key and a row rule that reads a claim of it, against neither."""

import json

from harness import HERE, POINT, USERS, summary

TARGET = "0.85"
RULE = '@relation(name: "users") @auth(signedIn: true, rows: {id: {lte: {claim: "sub"}}})'


def measure(bench):
    bare = bench.blog_server()
    schema = (HERE / "blog/schema.graphql").read_text()
    folder = bench.project("ruled", schema.replace('@relation(name: "users")', RULE))
    bench.fraiseql("compile", folder, "--database-url", bench.url("app"))
    bench.psql("-f", "-", text=bench.fraiseql("keys", "init", "--role", "postgres"))
    key = bench.fraiseql("--json", "keys", "create", USERS, folder, "--database-url", bench.url("app"))
    bench.service("app")
    bench.sql("GRANT USAGE ON SCHEMA fraiseql TO bench; GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA fraiseql TO bench")
    ruled = bench.serve(folder, "app", "identity.api_keys=true")
    ruled.key = json.loads(key)["key"]
    if bench.sql(f"SELECT count(*) FROM users WHERE id <= {USERS}") != str(USERS):
        raise RuntimeError("the rule hides rows that the queries ask for")
    ruled.ask(POINT, {"id": USERS})
    try:
        ours, theirs = bench.rounds_of(bench.load(ruled, POINT, USERS, 8), bench.load(bare, POINT, USERS, 8))
    finally:
        ruled.stop()
    yield {
        "what": "point, 8 connections, with an API key and a row rule",
        "ours": summary([rate for rate, _ in ours]),
        "against": summary([rate for rate, _ in theirs]),
        "unit": "requests/s, without",
        "ratio": summary([one[0] / other[0] for one, other in zip(ours, theirs)]),
    }
