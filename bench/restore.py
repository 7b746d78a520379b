"""How long a restore takes, with and without what it checks, against a plain copy and replay by PostgreSQL itself.

Usage: python3 -B bench/restore.py FRAISEQL DATA_MB WAL_MB FOLDER

FOLDER must be reachable by the server's user and have room for six times the data. As root PostgreSQL runs as `postgres`.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

FILLER = 900


def own(command):
    """The command as the user that PostgreSQL runs as."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else command


def run(command, **more):
    done = subprocess.run(command, text=True, capture_output=True, **more)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def timed(work):
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


class Embedded:
    """`fraiseql up` on an empty project that archives."""

    def __init__(self, fraiseql, root):
        self.fraiseql, self.project = fraiseql, root / "project"
        self.project.mkdir()
        (self.project / "fraiseql.toml").write_text('[backup]\nrepository = "../backups"\n')
        schema = 'type Query { filler: [Filler!]! }\ntype Filler @relation(name: "filler") { id: Int! body: String! }\n'
        (self.project / "schema.graphql").write_text(schema)
        (self.project / "seed.sql").write_text("CREATE TABLE filler (id int PRIMARY KEY, body text NOT NULL);\n")
        with open(self.project / "fraiseql.toml", "a") as settings:
            settings.write('[embedded]\nseed = ["seed.sql"]\n')

    def start(self):
        log = open(self.project / "up.log", "w")
        self.up = subprocess.Popen([self.fraiseql, "up", self.project, "--port", "0"], stdout=log, stderr=log)
        deadline = time.monotonic() + 120
        while "GraphQL" not in (self.project / "up.log").read_text():
            if self.up.poll() is not None or time.monotonic() > deadline:
                sys.exit((self.project / "up.log").read_text())
            time.sleep(0.05)
        state = json.loads((self.project / ".fraiseql/embedded.json").read_text())
        self.url, self.data = state["url"], pathlib.Path(state["data_dir"])

    def stop(self):
        self.up.send_signal(signal.SIGINT)
        self.up.wait(timeout=300)

    def sql(self, text):
        return run(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1", "-c", text, self.url]).strip()

    def command(self, *words):
        return run([self.fraiseql, *words, "--json"])

    def fill(self, megabytes):
        """Adds rows of about 1 kB."""
        first = int(self.sql("SELECT coalesce(max(id), 0) FROM filler")) + 1
        for begin in range(first, first + megabytes * 1000, 50_000):
            end = min(begin + 50_000, first + megabytes * 1000) - 1
            self.sql(
                f"INSERT INTO filler SELECT id, repeat(md5(id::text), {FILLER // 32}) FROM generate_series({begin}, {end}) id"
            )


def plain(bin_dir, copy, wal, into):
    """Copies the files, replays all WAL, waits for the end of the recovery."""
    shutil.copytree(copy, into)
    (into / "recovery.signal").touch()
    for name in ("postgresql.conf", "pg_hba.conf"):
        (into / name).write_text("local all all trust\n" if "hba" in name else "")
    into.chmod(0o700)
    if os.geteuid() == 0:
        run(["chown", "-R", "postgres", into])
    options = f"-c listen_addresses= -c unix_socket_directories={into} -c hba_file={into}/pg_hba.conf"
    options += f" -c restore_command='cp {wal}/%f %p' -c recovery_target_timeline=latest -c max_worker_processes=32 -c wal_level=logical"
    run(own([bin_dir / "pg_ctl", "-D", into, "-w", "-t", "600", "-l", into / "log", "-o", options, "start"]))
    ask = own(["psql", "-qXAt", "-h", str(into), "-U", "postgres", "-c", "SELECT pg_is_in_recovery()", "postgres"])
    while run(ask).strip() != "f":
        time.sleep(0.05)


def main():
    fraiseql, data_mb, wal_mb, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), pathlib.Path(sys.argv[4])
    root = folder / f"restore-{os.getpid()}"
    root.mkdir()
    root.chmod(0o755)
    embedded = Embedded(fraiseql, root)
    try:
        embedded.start()
        bin_dir = pathlib.Path(run(["find", "/usr/lib/postgresql", "-name", "pg_ctl"]).split()[-1]).parent
        embedded.sql("ALTER SYSTEM SET wal_keep_size = '100GB'")
        embedded.sql("SELECT pg_reload_conf()")
        embedded.fill(data_mb)
        embedded.sql("CHECKPOINT")
        size = int(embedded.sql("SELECT sum(pg_database_size(oid)) FROM pg_database"))
        create = timed(lambda: embedded.command("backup", "create", embedded.project))
        copy = root / "copy"
        run([bin_dir / "pg_basebackup", "-D", copy, "-X", "none", "-c", "fast", "-d", embedded.url])
        begin = embedded.sql("SELECT pg_current_wal_lsn()")
        embedded.fill(wal_mb)
        wal_bytes = int(embedded.sql(f"SELECT pg_current_wal_lsn() - '{begin}'::pg_lsn"))
        embedded.sql("SELECT pg_switch_wal()")
        embedded.stop()
        wal = root / "wal"
        shutil.copytree(embedded.data / "pg_wal", wal)
        wal.chmod(0o755)
        if os.geteuid() == 0:
            run(["chown", "-R", "postgres", wal])
        into = root / "plain"
        copied = timed(lambda: plain(bin_dir, copy, wal, into))
        run(own([bin_dir / "pg_ctl", "-D", into, "-w", "-m", "fast", "stop"]))
        shutil.rmtree(into)
        restored = {}
        for name, more in (("compared while it is read", ["--quick"]), ("everything checked", [])):
            into = root / "restored"
            words = ["restore", embedded.project, "--latest", "--into", into, *more]
            restored[name] = timed(lambda words=words: embedded.command(*words))
            shutil.rmtree(into)
        print(f"data              {size / 1e6:8.0f} MB, WAL behind the backup {wal_bytes / 1e6:.0f} MB")
        print(f"backup create     {create:8.1f} s, read again and compared")
        print(f"copy and replay   {copied:8.1f} s, nothing checked")
        for name, took in restored.items():
            print(f"fraiseql restore  {took:8.1f} s, {name}, ratio {took / copied:.2f}")
    finally:
        if embedded.up.poll() is None:
            embedded.stop()
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
