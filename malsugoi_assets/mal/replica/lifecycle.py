"""One replica a data dir, whoever asks first: found, started, shared and stopped across processes.

`DATA_DIR/replica/` holds
    address.json   where the running one listens, its pid and its token; gone or changed = it ends itself
    state.json     the world's seed and sizes, the users added later, the last port; kept over restarts
    lock           held for a moment while one is looked for or started
    serving.lock   held by the serving process as long as it lives, however it ends
    replica.log    what a detached one had to say

A process is only trusted when it answers with the token of the address file; pids and ports may be anybody's by now.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from malsugoi_assets.disk import replace_file

if TYPE_CHECKING:  # who looks for a replica needs neither its pages nor its arrays
    from malsugoi_assets.mal.replica.server import Server, Site

N_ANIME, N_USERS, SEED = 700, 300, 0
IDLE_SECONDS = 15 * 60.0
START_SECONDS = 30.0
WATCH_SECONDS = 0.1
BOUNDS = {"seed": (0, 2**31), "anime": (1, 20_000), "first_users": (0, 20_000)}
"""The least and the greatest of each that a world is made with."""

_children: list[subprocess.Popen[bytes]] = []


class ReplicaError(RuntimeError):
    """The replica cannot be had; one line that says why and what to do."""


def ensure_replica(
    data_dir: Path, *, n_anime: int | None = None, n_users: int | None = None, seed: int | None = None
) -> str:
    """The base URL of the data dir's replica, started as a detached process where none answers.

    A size or seed that is not given is what the data dir's world has already (700 titles, 300 users, seed 0 in a new
    one). It outlives the caller and ends after 15 minutes without a request.

    Raises: `ReplicaError` where the data dir's world is another one, or where none can be started.
    """
    home = _home(data_dir)
    _world_of(home, n_anime, n_users, seed)
    if (status := replica_status(data_dir)) is not None:
        return str(status["url"])
    with _locked(home / "lock"):
        if (status := replica_status(data_dir)) is not None:
            _world_of(home, n_anime, n_users, seed)  # somebody else may have made another one meanwhile
            return str(status["url"])
        return _start(data_dir, home, n_anime, n_users, seed)


def replica_status(data_dir: Path) -> dict[str, Any] | None:
    """Address, pid and state of the data dir's replica; None where none answers. Starts and changes nothing."""
    address = _read(data_dir / "replica" / "address.json")
    if address is None or not isinstance(address.get("port"), int):
        return None
    try:
        connection = http.client.HTTPConnection("127.0.0.1", address["port"], timeout=5)
        try:
            connection.request("GET", "/_control/state")
            state = json.loads(connection.getresponse().read())
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException):
        return None
    if not isinstance(state, dict) or not address.get("token") or state.get("token") != address["token"]:
        return None
    return {**state, "url": f"http://127.0.0.1:{address['port']}", "port": address["port"], "pid": address.get("pid")}


def stop_replica(data_dir: Path, *, wait_seconds: float = 10.0) -> bool:
    """End the data dir's replica and wait for it; False where none was running."""
    home = data_dir / "replica"
    running = replica_status(data_dir) is not None
    (home / "address.json").unlink(missing_ok=True)
    if not running:
        return False
    until = time.monotonic() + wait_seconds
    while time.monotonic() < until and _is_served(home):
        time.sleep(0.02)
    for child in _children:
        child.poll()
    return True


def serve(
    data_dir: Path,
    port: int = 0,
    *,
    n_anime: int | None = None,
    n_users: int | None = None,
    seed: int | None = None,
    idle_seconds: float | None = None,
    started: threading.Event | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """Serve the data dir's replica in this process until it is stopped, interrupted or idle for `idle_seconds`.

    `port` 0 takes the last port again, or a free one; `started` is set once the address stands in its file;
    `say` is told in one line where it listens and with what.

    Raises: `ReplicaError` where the port is in use, or another process serves this data dir already.
    """
    from malsugoi_assets.mal.replica.server import Site
    from malsugoi_assets.mal.replica.world import World

    home = _home(data_dir)
    with _locked(home / "serving.lock", wait=False):
        state = _world_of(home, n_anime, n_users, seed)
        world = World(state["seed"], state["anime"], state["first_users"])
        world.add_users(state["added"])
        token = secrets.token_hex(16)
        site = Site(world, token, on_adding=lambda added: _write(home / "state.json", {**state, "added": added}))
        server = _listen(site, port, state.get("port"))
        state["port"] = server.server_address[1]
        _write(home / "state.json", state)
        address = {"pid": os.getpid(), "port": state["port"], "token": token}
        _write(home / "address.json", address)
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(WATCH_SECONDS):
                idle = idle_seconds is not None and time.monotonic() - site.last_asked > idle_seconds
                if idle or _read(home / "address.json") != address:
                    server.shutdown()
                    return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        if say is not None:
            say(f"{server.url} serves {world.n_anime} titles and {len(world.users)} users; Ctrl-C ends it")
        if started is not None:
            started.set()
        try:
            server.serve_forever(poll_interval=0.05)
        except KeyboardInterrupt:
            pass
        finally:
            ended.set()
            server.server_close()
            if _read(home / "address.json") == address:
                (home / "address.json").unlink(missing_ok=True)


def _start(data_dir: Path, home: Path, n_anime: int | None, n_users: int | None, seed: int | None) -> str:
    command = [sys.executable, "-m", "malsugoi_assets.mal.replica", "--data-dir", str(data_dir.absolute())]
    command += ["--port", "0", "--idle-seconds", str(IDLE_SECONDS)]
    for option, value in (("--anime", n_anime), ("--users", n_users), ("--seed", seed)):
        command += [option, str(value)] if value is not None else []
    with (home / "replica.log").open("ab") as log:
        said_before = log.tell()
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=Path(__file__).parents[3],
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
    _children.append(child)
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if (status := replica_status(data_dir)) is not None:
            return str(status["url"])
        if child.poll() is not None:
            break
        time.sleep(0.02)
    if child.poll() is None:  # it would hold the lock and be nobody's
        child.kill()
        child.wait()
    reason = (home / "replica.log").read_bytes()[said_before:].decode(errors="replace").strip().splitlines()[-1:]
    raise ReplicaError(
        f"the replica of {data_dir} does not start: {' '.join(reason) or 'no answer'} (see {home / 'replica.log'})"
    )


def _listen(site: Site, port: int, last_port: int | None) -> Server:
    from malsugoi_assets.mal.replica.server import Server

    if port:
        try:
            return Server(site, port)
        except OverflowError as error:
            raise ReplicaError(f"there is no port {port}: choose one from 1 to 65535") from error
        except OSError as error:
            raise ReplicaError(f"port {port} on 127.0.0.1: {error.strerror}; choose another with --port") from error
    if last_port:
        with contextlib.suppress(OSError, OverflowError):
            return Server(site, last_port)
    return Server(site, 0)


def _world_of(home: Path, n_anime: int | None, n_users: int | None, seed: int | None) -> dict[str, Any]:
    """The state of the data dir's world, or of a new one; it never changes its seed and sizes."""
    wanted = {"seed": seed, "anime": n_anime, "first_users": n_users}
    for name, (least, greatest) in BOUNDS.items():
        value = wanted[name]
        if value is not None and not least <= value <= greatest:
            raise ReplicaError(f"{name.removeprefix('first_')} = {value}: choose from {least} to {greatest}")
    state = _read(home / "state.json")
    if state is not None and not all(isinstance(state.get(name), int) for name in (*wanted, "added")):
        state = None
    if state is None and (home / "state.json").exists():
        raise ReplicaError(
            f"{home / 'state.json'} cannot be read, so its world is not known: restore it, or delete it for a new world"
        )
    if state is None:
        defaults = {"seed": SEED, "anime": N_ANIME, "first_users": N_USERS}
        return {**defaults, **{name: value for name, value in wanted.items() if value is not None}, "added": 0}
    for name, value in wanted.items():
        if value is not None and value != state[name]:
            raise ReplicaError(
                f"the replica of {home.parent} has {name.removeprefix('first_')} = {state[name]}, not {value}: "
                "leave the option out, or use another data dir"
            )
    return state


def _home(data_dir: Path) -> Path:
    home = data_dir / "replica"
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReplicaError(f"{home}: {error.strerror}; choose a data dir that can be written") from error
    return home


def _is_served(home: Path) -> bool:
    try:
        with _locked(home / "serving.lock", wait=False):
            return False
    except ReplicaError:
        return True


@contextlib.contextmanager
def _locked(path: Path, *, wait: bool = True) -> Iterator[IO[bytes]]:
    with path.open("ab") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            address = _read(path.parent / "address.json") or {}
            where = f" at http://127.0.0.1:{address['port']}" if address.get("port") else ""
            raise ReplicaError(
                f"{path.parent.parent} has a replica already{where}: use it, or stop it first"
            ) from error
        yield handle


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _write(path: Path, value: dict[str, Any]) -> None:
    with replace_file(path) as draft:
        draft.write_text(json.dumps(value))
