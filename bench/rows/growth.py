"""How the time of a query grows with its depth, rows and fields: a cost for each step, and how straight the line is.

One client, so that a time is that of the request alone. R2 is that of the straight line through the medians: a
knee shows as a step whose cost is far from those before it, and as an R2 well below 1.
"""

import statistics

from harness import summary

TARGET = "straight lines, no knees"
ROWS = 10_000
FIELDS = 40
SCRIPT = (
    f"CREATE TABLE wides (id integer PRIMARY KEY, next_id integer NOT NULL REFERENCES wides DEFERRABLE INITIALLY DEFERRED"
    f"{''.join(f', c{n} text NOT NULL' for n in range(1, FIELDS + 1))});\n"
    f"INSERT INTO wides SELECT n, 1 + (n * 7919) % {ROWS}"
    f"{''.join(f', {chr(39)}value {n} of {chr(39)} || n' for n in range(1, FIELDS + 1))} FROM generate_series(1, {ROWS}) AS n;\n"
    "ANALYZE;\n"
)
SCHEMA = (
    'type Query { wides: [Wide!]! }\ntype Wide @relation(name: "wides") { id: Int! next: Wide! '
    + " ".join(f"c{n}: String!" for n in range(1, FIELDS + 1))
    + " }\n"
)


def deep(depth):
    return f"{{wides(orderBy:{{id:ASC}},limit:20){'{id c1 next' * (depth - 1)}{{id c1}}{'}' * (depth - 1)}}}"


def long(rows):
    return f"{{wides(orderBy:{{id:ASC}},limit:{rows}){{id c1 c2}}}}"


def wide(fields):
    return f"{{wides(orderBy:{{id:ASC}},limit:100){{{' '.join(f'c{n}' for n in range(1, fields + 1))}}}}}"


SERIES = (
    ("depth", deep, (1, 2, 3, 4, 5, 6, 7, 8)),
    ("rows", long, (10, 30, 100, 300, 1000, 3000, 10_000)),
    ("fields", wide, (1, 5, 10, 15, 20, 25, 30, 35, 40)),
)


def measure(bench):
    bench.database("growth", SCRIPT)
    folder = bench.project("growth", SCHEMA)
    bench.fraiseql("compile", folder, "--database-url", bench.url("growth"))
    server = bench.serve(folder, "growth")
    for name, query, sizes in SERIES:
        for size in sizes:
            server.ask(query(size))

        def time_us(size):
            return lambda: 1_000_000 / bench.wrk(server, query(size), 1, 1, variables="{}")[0]

        times = bench.rounds_of(*[time_us(size) for size in sizes])
        medians = [statistics.median(one) for one in times]
        previous = None
        for size, one, median in zip(sizes, times, medians):
            step = f", {(median - previous[1]) / (size - previous[0]):.2f} us for each more" if previous else ""
            yield {"what": f"{name} {size}{step}", "ours": summary(one), "unit": "us"}
            previous = (size, median)
        straight = statistics.correlation(sizes, medians) ** 2
        slope, start = statistics.linear_regression(sizes, medians)
        yield {"what": f"{name}: {start:.0f} us + {slope:.2f} us for each, R2", "ours": summary([straight]), "unit": ""}
    server.stop()
