"""PostGraphile 5 with the same data and queries, in rounds that alternate. One process of it, as its command starts it."""

import os
import shutil
import subprocess

import harness
from harness import POINT, USERS, Server, Skip, free_port, summary, wait_for

TARGET = "5x point, 3x nested (aim 8x / 4x)"
# The newest PostGraphile needs a newer node than many systems have: npm brings one.
PACKAGES = ["postgraphile@5.1.5", "node@22.23.3"]
CONNECTIONS = 8
PAGES = 100

PEER_POINT = "query($id:Int!){userByRowId(rowId:$id){rowId name email}}"
NESTED = (
    "query($id:Int!){users(orderBy:{id:ASC},limit:20,offset:$id)"
    "{id name posts{id title body comments{id body author{id name}}}}}"
)
PEER_NESTED = (
    "query($id:Int!){allUsersList(orderBy:[PRIMARY_KEY_ASC],first:20,offset:$id)"
    "{rowId name postsByAuthorIdList{rowId title body commentsByPostIdList{rowId body userByAuthorId{rowId name}}}}}"
)
CONFIG = """
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { makePgService } from "postgraphile/adaptors/pg";

export default {
  extends: [PostGraphileAmberPreset],
  pgServices: [
    makePgService({ connectionString: process.env.DATABASE_URL, schemas: ["public"], poolConfig: { max: 8 } }),
  ],
  schema: { defaultBehavior: "-connection +list" },
  grafserv: { host: "127.0.0.1", port: Number(process.env.PORT), graphiql: false, websockets: false },
};
"""


def installed(bench):
    folder = bench.cache / "postgraphile"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "node_modules/.bin/postgraphile").exists():
        if shutil.which("npm") is None:
            raise Skip("npm is missing, which brings PostGraphile")
        (folder / "package.json").write_text('{"private": true}\n')
        command = ["npm", "install", "--no-audit", "--no-fund", "--save-exact", *PACKAGES]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Skip(f"npm cannot fetch it: {done.stderr.strip().splitlines()[-1]}")
    (folder / "bench.config.mjs").write_text(CONFIG)
    return folder


def start(bench):
    folder, port = installed(bench), free_port()
    environment = dict(
        os.environ,
        DATABASE_URL=bench.service("app"),
        PORT=str(port),
        NODE_ENV="production",
        GRAPHILE_ENV="production",
    )
    program = folder / "node_modules/.bin"
    command = [str(program / "node"), str(program / "postgraphile"), "-C", "bench.config.mjs"]
    with open(bench.work / "postgraphile.log", "wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    server = Server(process, port)
    bench.servers.append(server)
    wait_for("postgraphile", lambda: ready(server), process)
    return server


def ready(server):
    try:
        return bool(server.ask("{__typename}"))
    except OSError:
        return False


def same(ours, theirs):
    """Both must have answered with as much: the names of the fields differ, the rows must not."""
    if ours.count(b"lorem ipsum") != theirs.count(b"lorem ipsum") or ours.count(b"dolor") != theirs.count(b"dolor"):
        raise RuntimeError("the two answers do not have the same rows")


def measure(bench):
    ours, theirs = bench.blog_server(), start(bench)
    same(ours.ask(NESTED, {"id": 7}), theirs.ask(PEER_NESTED, {"id": 7}))
    for name, query, peer_query, top in (
        ("point", POINT, PEER_POINT, USERS),
        ("nested", NESTED, PEER_NESTED, PAGES),
    ):
        mine, peers = bench.rounds_of(
            bench.load(ours, query, top, CONNECTIONS), bench.load(theirs, peer_query, top, CONNECTIONS)
        )
        yield {
            "what": f"{name}, {CONNECTIONS} connections, against PostGraphile",
            "ours": summary([rate for rate, _ in mine]),
            "against": summary([rate for rate, _ in peers]),
            "unit": "requests/s",
            "ratio": summary([one[0] / other[0] for one, other in zip(mine, peers)]),
        }
        yield {
            "what": f"{name}: CPU of the two servers",
            "ours": summary([cpu for _, cpu in mine]),
            "against": summary([cpu for _, cpu in peers]),
            "unit": "us a request",
        }
    for what, server in (("fraiseql", ours), ("PostGraphile", theirs)):
        value = harness.memory_mib(server.pid)
        yield {"what": f"resident memory of {what}", "ours": summary([value]), "unit": "MiB"}
    theirs.stop()
