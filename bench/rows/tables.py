"""A schema of 500 tables: time to compile, time until `serve` is ready, and its memory, with `@read` and without."""

import re
import shutil
import time

from harness import memory_mib, summary

TARGET = "compile 2 s; load 100 ms; resident memory 60 MB"
TABLES = 500


def script():
    """Tables that refer to one another as those of a real application do, with 12 columns each."""
    lines = []
    for n in range(1, TABLES + 1):
        references = f", parent_id integer REFERENCES entity_{n // 2}" if n > 1 else ""
        references += f", owner_id integer NOT NULL REFERENCES entity_{n // 5}" if n > 5 else ""
        lines.append(
            f"CREATE TABLE entity_{n} (id integer PRIMARY KEY, name text NOT NULL, code varchar(20) UNIQUE, "
            "amount numeric(12, 2), weight double precision, active boolean NOT NULL, tags text[], "
            f"born date, created_at timestamptz NOT NULL, details jsonb, external_id uuid, quantity bigint{references});"
        )
    return "\n".join(lines)


def ready_ms(bench, folder, database):
    """From the start of the process to the first answer that it is ready; and its memory then."""
    begin = time.monotonic()
    server = bench.serve(folder, database)
    took = (time.monotonic() - begin) * 1000
    server.ask("{entity1s(limit:1){id}}" if database == "tables" else "{user(id:1){id}}")
    memory = memory_mib(server.pid)
    server.stop()
    return took, memory


def measure(bench):
    bench.database("tables", script())
    bench.blog_server()
    for name, options in (("with @read", []), ("without reads", ["--no-reads"])):
        folder = bench.work / "tables"
        url = bench.url("tables")
        bench.fraiseql("init", "--from-database", url, *options, folder)

        def compile_s():
            begin = time.monotonic()
            bench.fraiseql("compile", folder, "--database-url", url)
            return time.monotonic() - begin

        compiled, small, large = bench.rounds_of(
            compile_s,
            lambda: ready_ms(bench, bench.work / "blog", "app"),
            lambda: ready_ms(bench, folder, "tables"),
        )
        size = (folder / "schema.compiled.json").stat().st_size / 1e6
        types = len(re.findall(r"^type ", (folder / "schema.graphql").read_text(), re.MULTILINE))
        yield {"what": f"{name}, {types} types, artifact {size:.1f} MB: compile", "ours": summary(compiled), "unit": "s"}
        yield {
            "what": f"{name}: start to ready, against the blog's 3 tables",
            "ours": summary([ms for ms, _ in large]),
            "against": summary([ms for ms, _ in small]),
            "unit": "ms",
        }
        yield {"what": f"{name}: resident memory", "ours": summary([mib for _, mib in large]), "unit": "MiB"}
        shutil.rmtree(folder)
