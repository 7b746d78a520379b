"""Measures the rows that BENCH names, or all; prints a table, and writes the figures as JSON outside of the tree."""

import datetime
import importlib
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile

import harness

ROWS = [
    "ratio",
    "latency",
    "stream",
    "session",
    "rules",
    "observing",
    "overload",
    "postgraphile",
    "subscriptions",
    "fraiseql2",
    "cold",
    "create",
    "memory",
    "tables",
    "growth",
]


def chosen():
    names = [name for name in os.environ.get("BENCH", "").split(",") if name]
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        sys.exit(f"bench: there is no row {', '.join(unknown)}; the rows are {', '.join(ROWS)}")
    return names or ROWS


def first_line(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip().split("\n")[0]


def about(bench, binary):
    """The machine and the versions."""
    cpuinfo = pathlib.Path("/proc/cpuinfo").read_text()
    models = [line.split(":", 1)[1].strip() for line in cpuinfo.splitlines() if line.startswith("model name")]
    commit = ["git", "-C", str(harness.HERE), "describe", "--always", "--dirty"]
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "load before": os.getloadavg()[0],
        "fraiseql": f"{first_line(binary, '--version')}",
        "tree (a binary of FRAISEQL_BIN may be of another)": first_line(*commit),
        "postgresql": bench.sql("SHOW server_version"),
        "rounds": bench.rounds,
        "seconds each": bench.seconds,
    }


def figure(values):
    if values is None:
        return ""
    digits = 0 if values["median"] >= 100 else 1 if values["median"] >= 10 else 2
    return f"{values['median']:,.{digits}f} ({values['min']:,.{digits}f}-{values['max']:,.{digits}f})"


def line(name, row):
    ratio = row.get("ratio")
    shown = f"{ratio['median']:.2f} ({ratio['min']:.2f}-{ratio['max']:.2f})" if ratio else ""
    cells = [name, row["what"], figure(row.get("ours")), figure(row.get("against")), shown, row["unit"]]
    print(f"| {' | '.join(cells)} |", flush=True)


def measure(bench, name):
    """One row: its lines are printed as they come; an error or a reason to skip is a line too."""
    module = importlib.import_module(f"rows.{name}")
    result = {"row": name, "target": module.TARGET, "lines": []}
    try:
        for row in module.measure(bench):
            line(name, row)
            result["lines"].append(row)
    except harness.Skip as reason:
        result["skipped"] = str(reason)
        print(f"| {name} | skipped: {reason} | | | | |", flush=True)
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        result["failed"] = str(error)
        print(f"| {name} | FAILED: {str(error).strip().splitlines()[0][:200]} | | | | |", flush=True)
        print(f"bench: {name}: {error}", file=sys.stderr)
    print(f"| {name} | target: {module.TARGET} | | | | |", flush=True)
    return result


def main():
    names, binary = chosen(), sys.argv[1]
    tools = {"pgbench": sys.argv[2]}
    work = tempfile.mkdtemp(prefix="fraiseql-bench-")
    os.chmod(work, 0o755)
    shutil.copytree(harness.HERE / "blog", pathlib.Path(work) / "blog")
    results, bench = [], None
    try:
        bench = harness.Bench(binary, tools, work)
        facts = about(bench, binary)
        print("".join(f"{key}: {value}\n" for key, value in facts.items()))
        print("| row | what | fraiseql, median (range) | against | ratio | unit |\n|---|---|---|---|---|---|")
        results.extend(measure(bench, name) for name in names)
    finally:
        if bench is not None:
            bench.stop()
        shutil.rmtree(work, ignore_errors=True)
    out = pathlib.Path(os.environ["BENCH_CACHE"]) / "results"
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{datetime.datetime.now():%Y%m%d-%H%M%S}.json"
    path.write_text(json.dumps({"about": facts, "rows": results}, indent=1))
    print(f"bench: the figures are in {path}", file=sys.stderr)
    return 1 if any("failed" in result for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
