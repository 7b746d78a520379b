"""Starts what is measured, samples processes, runs interleaved rounds, and sums figures up. Knows no row."""

import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import time
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")

POINT = "query($id:Int!){user(id:$id){id name email}}"
NESTED = (
    "query($id:Int!){users(where:{id:{gte:$id}},orderBy:{id:ASC},limit:20)"
    "{id name posts{id title body comments{id body author{id name}}}}}"
)
USERS = 10_000
# A nested query takes 20 users from a random one on: the last of them must still have 20 behind it.
NESTED_FROM = USERS - 100


class Skip(Exception):
    """A row that cannot be measured here; the text says why."""


def summary(values):
    """Median, lowest and highest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def cpu_us(pid):
    """User and system time of a process so far, with that of its children that have ended."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return sum(int(ticks) for ticks in fields[11:15]) * TICK_US


def tree(pid):
    """A process and everything under it."""
    found = [pid]
    for parent in found:
        for children in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found.extend(int(child) for child in children.read_text().split())
            except FileNotFoundError:
                continue
    return found


def tree_cpu_us(pid):
    total = 0
    for member in tree(pid):
        try:
            total += cpu_us(member)
        except FileNotFoundError:
            continue
    return total


def memory_mib(pid, key="VmRSS"):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{key}:\s+(\d+)", status, re.MULTILINE).group(1)) / 1024


def reset_peak(pid):
    """Makes VmHWM of a process begin again from what it has now."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


def wait_for(what, check, process=None, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{what}: the process ended with {process.returncode}")
        if check():
            return
        time.sleep(0.002)
    raise RuntimeError(f"{what}: not within {seconds} s")


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return response.status == 200
    except OSError:
        return False


class Server:
    """A running server of GraphQL."""

    def __init__(self, process, port, path="/graphql"):
        self.process, self.pid, self.port, self.path = process, process.pid, port, path
        # An API key that each request carries.
        self.key = None

    def ask(self, query, variables=None):
        body = json.dumps({"query": query, "variables": variables or {}}).encode()
        headers = {"content-type": "application/json"}
        if self.key:
            headers["authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{self.path}", body, headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            text = response.read()
        if b'"errors"' in text[:200] or not text.startswith(b'{"data"'):
            raise RuntimeError(f"not an answer: {text[:400]!r}")
        return text

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Bench:
    """What the rows share: the machine, a PostgreSQL server with the blog's data, and the sizes of a run."""

    def __init__(self, binary, tools, work):
        self.binary, self.tools, self.work = binary, tools, pathlib.Path(work)
        self.rounds = int(os.environ.get("ROUNDS", "5"))
        self.seconds = int(os.environ.get("SECONDS_EACH", "5"))
        self.hours = float(os.environ.get("HOURS", "0"))
        self.cache = pathlib.Path(os.environ["BENCH_CACHE"])
        self.servers = []
        self.up = self.start_database()
        self.blog = None

    def start_database(self):
        """Runs `up` on the blog for its database; rows are measured on `serve`, in the production profile."""
        port = free_port()
        command = [self.binary, "up", str(self.work / "blog"), "--port", str(port)]
        with open(self.work / "up.log", "wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        up = Server(process, port)
        self.servers.append(up)
        try:
            wait_for("up", lambda: answers(f"http://127.0.0.1:{port}/health/ready"), process, 300)
        except RuntimeError:
            print((self.work / "up.log").read_text())
            raise
        text = (self.work / "blog/.fraiseql/embedded.json").read_text()
        self.socket = urllib.parse.unquote(re.search(r"host=([^&\"]*)", text).group(1))
        pidfile = self.sql("SHOW data_directory") + "/postmaster.pid"
        self.postmaster = int(pathlib.Path(pidfile).read_text().split()[0])
        return up

    def url(self, database, user="postgres"):
        return f"postgresql://{user}@/{database}?host={urllib.parse.quote(self.socket, safe='')}"

    def service(self, database):
        """The URL of a role that may do what a service needs, which the production profile asks for."""
        self.sql(
            "DO $$ BEGIN CREATE ROLE bench LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO bench;"
            "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO bench",
            database,
        )
        return self.url(database, "bench")

    def psql(self, *arguments, database="app", text=None):
        command = ["psql", "-h", self.socket, "-U", "postgres", "-d", database, "-XAtq", "-v", "ON_ERROR_STOP=1"]
        done = subprocess.run(command + list(arguments), input=text, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def sql(self, statement, database="app"):
        return self.psql("-c", statement, database=database)

    def database(self, name, script):
        """A new database in the same server, filled by `script`."""
        self.sql(f'CREATE DATABASE "{name}"')
        self.psql("-f", "-", database=name, text=script)

    def project(self, name, schema):
        """A folder with a project for the database of that name."""
        folder = self.work / name
        folder.mkdir()
        (folder / "schema.graphql").write_text(schema)
        (folder / "fraiseql.toml").write_text("[database]\npool_size = 8\n")
        return folder

    def fraiseql(self, *arguments):
        done = subprocess.run([self.binary, *map(str, arguments)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"fraiseql {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}")
        return done.stdout

    def serve(self, folder, database="app", *settings):
        """Starts `serve` on a compiled project; the pool has the 8 connections of the project's settings."""
        port = free_port()
        command = [self.binary, "serve", str(folder), "--database-url", self.service(database), "--port", str(port)]
        for setting in ("server.profile=production", *settings):
            command += ["--set", setting]
        with open(self.work / "serve.log", "ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        server = Server(process, port)
        self.servers.append(server)
        wait_for("serve", lambda: answers(f"http://127.0.0.1:{port}/health/ready"), process)
        return server

    def blog_server(self):
        """The server of the blog that most rows ask, started once."""
        if self.blog is None:
            folder = self.work / "blog"
            self.fraiseql("compile", folder, "--database-url", self.url("app"))
            self.blog = self.serve(folder)
        return self.blog

    def stop(self):
        for server in reversed(self.servers):
            if server.process.poll() is None:
                server.stop()

    def wrk(self, server, query, top, connections, seconds=None, variables='{"id":%d}'):
        """Asks `query` with random ids up to `top`; returns requests in a second and how many there were."""
        body = json.dumps({"query": query, "variables": "@"}).replace('"@"', variables)
        script = self.work / "wrk.lua"
        key = f'wrk.headers["authorization"] = "Bearer {server.key}"\n' if server.key else ""
        script.write_text(
            'wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\n'
            f"{key}local body = [==[{body}]==]\n"
            f"request = function() return wrk.format(nil, nil, nil, (body:gsub('%%d', math.random(1, {top})))) end\n"
        )
        seconds = seconds or self.seconds
        url = f"http://127.0.0.1:{server.port}{server.path}"
        command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "-s", str(script), url]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in text or "Socket errors" in text:
            raise RuntimeError(f"wrk: {text}")
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
        return rate, int(re.search(r"(\d+) requests in", text).group(1))

    def pgbench(self, script, connections, seconds=None, *arguments):
        """Runs a script over the socket, prepared; returns transactions in a second."""
        path = self.work / "pgbench.sql"
        path.write_text(script)
        command = [self.tools["pgbench"], "-h", self.socket, "-U", "postgres", "-n", "-M", "prepared"]
        command += ["-c", str(connections), "-j", "1", "-T", str(seconds or self.seconds), "-f", str(path)]
        done = subprocess.run([*command, *arguments, "app"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return float(re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE).group(1))

    def statement(self, server, query):
        """The statement that the server sends for a query whose only variable is `id`, for pgbench."""
        server.ask(query, {"id": 77})
        sql = self.sql(
            "SELECT query FROM pg_stat_activity WHERE application_name = 'fraiseql' "
            "AND query LIKE 'SELECT row_to_json%' ORDER BY query_start DESC LIMIT 1"
        )
        if not sql:
            raise RuntimeError("no statement in pg_stat_activity")
        limit = re.search(r"limit:(\d+)", query)
        sql = sql.replace("$1", ":id")
        return sql.replace("$2", limit.group(1)) if limit else sql

    def rounds_of(self, *measures):
        """Runs each function once in every round; returns the figures of each."""
        figures = [[] for _ in measures]
        for _ in range(self.rounds):
            for index, measure in enumerate(measures):
                figures[index].append(measure())
        return figures

    def load(self, server, query, top, connections):
        """A function for `rounds_of`: rate, and the server's CPU for each request in us."""

        def once():
            before = tree_cpu_us(server.pid)
            rate, requests = self.wrk(server, query, top, connections)
            return rate, (tree_cpu_us(server.pid) - before) / requests

        return once
