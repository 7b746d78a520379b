"""Create a post and read it back, against pgbench doing the same statements in one transaction."""

import json

from harness import USERS, summary

TARGET = "0.50 (aim 0.65)"
MUTATION = 'mutation($id:Int!){insertPost(object:{authorId:$id,title:"t",body:"b"}){id title author{id name}}}'
CONNECTIONS = 8


def statements(bench):
    """The write and the read, as `fraiseql explain` shows them, with the author's id as pgbench's variable."""
    told = bench.fraiseql(
        "explain", MUTATION, bench.work / "blog", "--database-url", bench.url("app"), "--variables", json.dumps({"id": 7})
    )
    found = [line for line in told.splitlines() if line.startswith(("WITH ", "SELECT "))]
    if len(found) != 2 or "$4" in found[0]:
        raise RuntimeError(f"not the statements that were expected: {told}")
    return [sql.replace("$1", ":id").replace("$2", "'t'").replace("$3", "'b'") for sql in found]


def measure(bench):
    server = bench.blog_server()
    write, read = statements(bench)
    # A pipeline is what the server sends: both statements under one Sync, in one implicit transaction.
    script = f"\\set id random(1, {USERS})\n\\startpipeline\n{write};\n{read};\n\\endpipeline\n"
    ours, theirs = bench.rounds_of(
        bench.load(server, MUTATION, USERS, CONNECTIONS), lambda: bench.pgbench(script, CONNECTIONS)
    )
    bench.sql("DELETE FROM posts WHERE id > 1000000")
    bench.sql("VACUUM ANALYZE posts")
    yield {
        "what": f"create post and read it, {CONNECTIONS} connections",
        "ours": summary([rate for rate, _ in ours]),
        "against": summary(theirs),
        "ratio": summary([one[0] / other for one, other in zip(ours, theirs)]),
        "unit": "requests/s, pgbench tx/s",
    }
    yield {"what": "the same: server CPU", "ours": summary([cpu for _, cpu in ours]), "unit": "us a request"}
