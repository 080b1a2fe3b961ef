"""How long the web page takes for a recommendation, with many clients at once and while batches are published.

    python benchmarks/serve.py DATA_DIR [--clients 20] [--lists N] [--seconds 30] [--pause 0] [--publishing] [--stored]

Starts `malsugoi serve` on a copy of the published data dir. All clients at once bring a list each (that of one of the dir's
users; with `--stored` they name the user instead, as one must where all titles are invented) and ask for its recommendations (`first`). When all have theirs, each asks again and again: by the settings of a
new visitor, by other settings each time (nothing of that is kept from before), and once more by the same settings. With `--publishing` a process beside it writes a batch anew and
publishes, over and over. Prints medians and 95 % points in milliseconds by kind, and the server's own CPU time a
request and its memory, ready with one list and with those of all clients; clients, server and publisher share the machine's
cores.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

import polars as pl

from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.tables import TABLES

PUBLISH = "publish-over-and-over"
_STARTING_SECONDS = 180


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] == PUBLISH:
        publish(Path(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--lists", type=int, default=0, help="That are brought in all, if more than clients.")
    parser.add_argument("--pause", type=float, default=0, help="Seconds that a client reads before it asks again.")
    parser.add_argument("--publishing", action="store_true")
    parser.add_argument("--stored", action="store_true")
    parser.add_argument("--port", type=int, default=18_765)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        for part in ("lake", "generations", "models", "state"):
            if (asked.data_dir / part).exists():
                shutil.copytree(asked.data_dir / part, root / part)
        for name in ("source.json", "malsugoi.duckdb"):
            shutil.copy2(asked.data_dir / name, root / name, follow_symlinks=False)
        print(json.dumps(measure(root, asked), indent=2))


def measure(root: Path, asked: argparse.Namespace) -> dict[str, object]:
    """Figures of one run."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("MALSUGOI_")} | {"MALSUGOI_DATA_DIR": str(root)}
    command = [sys.executable, "-m", "malsugoi_assets.app", "serve", "--port", str(asked.port)]
    server = subprocess.Popen(command, env=env, cwd=root.parent, stdout=subprocess.DEVNULL)
    publisher = None
    try:
        wanted = max(asked.clients, asked.lists)
        lists = _names(root, wanted) if asked.stored else _lists(root, wanted)
        _wait(asked.port, lists[0])
        _rest(server.pid)
        ready = _memory(server.pid)
        if asked.publishing:
            publisher = subprocess.Popen([sys.executable, __file__, PUBLISH, str(root)], stdout=subprocess.PIPE)
        took, cpu = _ask(asked, lists, server.pid)
        found: dict[str, object] = {"titles": _titles(root), "clients": asked.clients, "pause": asked.pause}
        found |= {kind: _points(values) for kind, values in took.items()}
        requests = sum(map(len, took.values()))
        found |= {"requests": requests, "server_cpu_ms": round(1000 * cpu / max(requests, 1), 1)}
        ended = _memory(server.pid)
        found["server_mib"] = {"ready": ready["VmRSS"], "at the end": ended["VmRSS"], "at most": ended["VmHWM"]}
        if publisher is not None:
            publisher.send_signal(signal.SIGTERM)
            output, _ = publisher.communicate(timeout=60)
            found["published"] = len(output.split())
        return found | {"load": [round(load, 1) for load in os.getloadavg()], "cores": os.cpu_count()}
    finally:
        for process in (publisher, server):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()


def publish(root: Path) -> None:
    """Write the first batch of a table of people anew and publish, until told to end; a line a time."""
    data_dir = DataDir(root)
    name = next(n for n in ("recommendations", "cf_predictions", "rating_matrix") if data_dir.lake.partitions(n))
    batch = data_dir.lake.partitions(name)[0]
    rows = pl.read_parquet(data_dir.lake.path(name, batch))
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    while not ended.is_set():
        # The same rows at another second are another state.
        data_dir.lake.write(TABLES[name], rows, batch)
        if data_dir.publisher.publish().changed:
            print("published", flush=True)
        ended.wait(0.1)


def _ask(asked: argparse.Namespace, lists: Sequence[bytes | str], pid: int) -> tuple[dict[str, list[float]], float]:
    took: dict[str, list[float]] = defaultdict(list)
    failed: list[str] = []
    all_known = threading.Barrier(asked.clients)

    def client(number: int) -> None:
        chance, line = random.Random(number), http.client.HTTPConnection("127.0.0.1", asked.port, timeout=60)
        user, headers = _come(line, asked.port, lists[number])

        def ask(kind: str, query: dict[str, object]) -> None:  # by whoever `user` and `headers` are now
            begun = time.perf_counter()
            line.request("GET", f"/recommendations?{urlencode({**user, **query})}", headers=headers)
            answer = line.getresponse()
            body = answer.read()
            took[kind].append(1000 * (time.perf_counter() - begun))
            if answer.status != 200 or b"Because you" not in body:
                failed.append(f"{answer.status} {query}")

        ask("first", {})
        for other in lists[asked.clients + number :: asked.clients]:
            user, headers = _come(line, asked.port, other)
            ask("first of another", {})
        all_known.wait()
        line.close()  # the server may have given up the idle line meanwhile; the next request opens another
        ends = time.monotonic() + asked.seconds
        # Nobody reads in step with the others.
        time.sleep(asked.pause * chance.random())
        while time.monotonic() < ends:
            wanted = {"least_score": f"{chance.uniform(1, 6):.6f}", "per_franchise": chance.randint(1, 3)}
            for kind, query in (("usual", {}), ("other settings", wanted), ("again", wanted)):
                ask(kind, query)
                time.sleep(asked.pause)

    before = _cpu_seconds(pid)

    def watched(number: int) -> None:
        try:
            client(number)
        except (Exception, SystemExit) as error:
            failed.append(f"client {number}: {error!r}")
            all_known.abort()

    threads = [threading.Thread(target=watched, args=(number,)) for number in range(asked.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise SystemExit(f"{len(failed)} answers were not recommendations, e.g. {failed[0]}")
    return took, _cpu_seconds(pid) - before


def _come(line: http.client.HTTPConnection, port: int, whose: bytes | str) -> tuple[dict[str, str], dict[str, str]]:
    """The parameters and the headers by which a list is asked about: a user's by name, or one that is brought along."""
    return ({"user": whose}, {}) if isinstance(whose, str) else ({}, {"Cookie": _bring(line, port, whose)})


def _bring(line: http.client.HTTPConnection, port: int, export: bytes) -> str:
    """Upload the list; the cookie that stands for it."""
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.xml"\r\n\r\n' + export + b"\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b", "Origin": f"http://127.0.0.1:{port}"}
    line.request("POST", "/upload", body, headers)
    answer = line.getresponse()
    answer.read()
    if answer.status != 303:
        raise SystemExit(f"the upload was answered with {answer.status}")
    return str(answer.getheader("set-cookie")).partition(";")[0]


def _wait(port: int, whose: bytes | str) -> None:
    """Until the page has made everything ready."""
    deadline = time.monotonic() + _STARTING_SECONDS
    while time.monotonic() < deadline:
        try:
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=_STARTING_SECONDS)
            user, headers = _come(line, port, whose)
            for path in ("/recommendations", "/map", "/rate"):
                line.request("GET", f"{path}?{urlencode(user)}", headers=headers)
                line.getresponse().read()
            return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the page did not start")


def _rest(pid: int) -> None:
    """Until the page does nothing any more: it makes ready by itself what nobody has asked for yet."""
    deadline, before = time.monotonic() + _STARTING_SECONDS, -1.0
    while time.monotonic() < deadline and (now := _cpu_seconds(pid)) - before > 0.1:
        before = now
        time.sleep(2)


def _lists(root: Path, how_many: int) -> list[bytes]:
    """Exports of these users: what a visitor may bring."""
    rows = DataDir(root).lake.read("user_lists").collect()
    return [_export(rows.filter(pl.col("username") == name)) for name in _names(root, how_many)]


def _names(root: Path, how_many: int) -> list[str]:
    """The users with the longest lists but a few."""
    names = DataDir(root).lake.read("user_lists").select("username").collect()
    sizes = names.group_by("username").len().sort("len", "username", descending=True)["username"].to_list()
    return sizes[len(sizes) // 10 :][:how_many]


def _export(rows: pl.DataFrame) -> bytes:
    entries = "".join(
        f"<anime><series_animedb_id>{anime_id}</series_animedb_id><my_score>{score or 0}</my_score>"
        "<my_status>Completed</my_status></anime>"
        for anime_id, score in rows.filter(pl.col("anime_id") > 0).select("anime_id", "score").iter_rows()
    )
    return f"<myanimelist><myinfo></myinfo>{entries}</myanimelist>".encode()


def _titles(root: Path) -> int:
    return int(DataDir(root).lake.read("anime_features").select(pl.len()).collect().item())


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, where the system shows it."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> dict[str, int]:
    """MiB that a process holds now (VmRSS) and held at most (VmHWM), where the system shows it, else 0."""
    status = Path(f"/proc/{pid}/status")
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines()) if status.exists() else {}
    return {name: int(lines.get(name, "0 kB").split()[0]) // 1024 for name in ("VmRSS", "VmHWM")}


def _points(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "n": len(ordered),
        "p50_ms": round(statistics.median(ordered), 1),
        "p95_ms": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 1),
        "max_ms": round(ordered[-1], 1),
    }


if __name__ == "__main__":
    main()
