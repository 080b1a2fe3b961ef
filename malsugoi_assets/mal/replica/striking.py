"""What a fault makes of an answer: another answer, other bytes, or a connection that goes wrong."""

from __future__ import annotations

import contextlib
import json
import random
import select
import socket
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from functools import lru_cache

from malsugoi_assets.mal.replica import pages
from malsugoi_assets.mal.replica.faults import Fault

HTML, JSON = "text/html; charset=UTF-8", "application/json"
_BLOCK = 1_000_000
_RETRY_AFTER = 2.0
_SECONDS = {"delay": 1.0, "timeout": 600.0, "drip": 0.5}


@dataclass(frozen=True)
class Reply:
    """An answer as it goes over the line; `length` is what the head promises."""

    status: int
    body: bytes
    kind: str = HTML
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


def reply(status: int, page: str, kind: str = HTML, **headers: str) -> Reply:
    """A reply with a text."""
    return Reply(status, page.encode(), kind, {name.replace("_", "-"): value for name, value in headers.items()})


def instead(fault: Fault) -> Reply | None:
    """What the site sends in place of the page; None where it sends the page, or what `spoilt` makes of it."""
    match fault.kind:
        case "too_many" | "too_many_seconds" | "too_many_date":
            return _refusal(429, _wait(fault))
        case "status":
            return _refusal(fault.status, fault.retry_after)
        case "server_error" | "bad_gateway":
            return _refusal({"server_error": 500, "bad_gateway": 502}[fault.kind], None)
        case "maintenance":
            return reply(503, pages.maintenance())
        case "captcha":
            return reply(200, pages.captcha())
        case "block_page" | "block_page_200":
            return reply(403 if fault.kind == "block_page" else 200, pages.block_page())
        case "login":
            return reply(302, "", Location="/login.php?from=%2F")
        case "redirect" | "off_site":
            return reply(302, "", Location=fault.location or ("/" if fault.kind == "redirect" else _ELSEWHERE))
        case "json_html":
            return reply(200, pages.page("Home", '<div id="content">Welcome back</div>'))
    return None


_ELSEWHERE = "https://elsewhere.example/"


def spoilt(fault: Fault, page: Reply) -> Reply:
    """The page as the fault lets it through."""
    chance = random.Random(fault.seed)
    part = int(len(page.body) * fault.keep)
    match fault.kind:
        case "cut":
            return replace(page, body=page.body[:part], length=len(page.body))
        case "wrong_length":
            return replace(page, length=part)
        case "wrong_charset":
            charset = chance.choice(("iso-8859-1", "Shift_JIS", "utf-16", "windows-1251"))
            return replace(page, kind=f"{page.kind.partition(';')[0]}; charset={charset}")
        case "json_broken":
            return replace(page, body=page.body[: max(1, len(page.body) * 2 // 3)])
        case "json_type":
            return replace(page, body=_of_another_type(page.body, chance))
    return page


def send(fault: Fault | None, page: Reply, head: Callable[[Reply, int | None], bytes], line: socket.socket) -> bool:
    """Send the reply as the fault has it; True if the connection can be used again. OSError where the client is gone.

    `head` writes the status line and the headers, with a length or without.
    """
    match fault.kind if fault is not None else "":
        case "delay" if fault is not None:
            time.sleep(_seconds(fault))
        case "timeout" if fault is not None:
            _wait_for_the_end(line, _seconds(fault))
            return False
        case "reset":
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            return False
        case "drip" if fault is not None:
            line.sendall(head(page, len(page.body)))
            for byte in page.body:
                line.sendall(bytes([byte]))
                if _wait_for_the_end(line, _seconds(fault)):
                    return False
            return True
        case "huge" if fault is not None:
            announced = random.Random(fault.seed).random() < 0.5
            line.sendall(head(page, fault.size if announced else None) + page.body)
            for _ in range(fault.size // _BLOCK):
                line.sendall(b" " * _BLOCK)
            return False
        case "gzip_bomb" if fault is not None:
            packed = replace(page, headers={**page.headers, "Content-Encoding": "gzip"})
            copies = -(-fault.size // _BLOCK)
            line.sendall(head(packed, copies * len(_packed())))
            for _ in range(copies):
                line.sendall(_packed())
            return True
    line.sendall(head(page, len(page.body) if page.length is None else page.length) + page.body)
    return page.length is None or page.length <= len(page.body)


def _refusal(status: int, retry_after: float | str | None) -> Reply:
    body = pages.too_many_requests() if status == 429 else pages.server_error(status)
    if retry_after is None:
        return reply(status, body)
    return reply(status, body, Retry_After=retry_after if isinstance(retry_after, str) else f"{retry_after:g}")


def _wait(fault: Fault) -> float | str | None:
    if fault.kind == "too_many":
        return None
    wait = _RETRY_AFTER if fault.retry_after is None else fault.retry_after
    if fault.kind == "too_many_seconds" or isinstance(wait, str):
        return wait
    return formatdate(time.time() + wait + 0.999, usegmt=True)  # a date has whole seconds, and rounds down


def _of_another_type(body: bytes, chance: random.Random) -> bytes:
    try:
        rows = json.loads(body)
    except ValueError:
        return body
    if not isinstance(rows, list) or not rows:
        return b'{"rows": []}'
    which = chance.randrange(len(rows))
    field_name, value = chance.choice(
        (
            ("score", [8]),
            ("score", "ten"),
            ("anime_id", "none"),
            ("anime_id", None),
            ("anime_title", {"en": "A"}),
            ("", 7),
        )
    )
    if field_name:
        rows[which][field_name] = value
    else:
        rows[which] = value
    return json.dumps(rows).encode()


def _seconds(fault: Fault) -> float:
    return _SECONDS[fault.kind] if fault.seconds is None else fault.seconds


def _wait_for_the_end(line: socket.socket, seconds: float) -> bool:
    """Wait; True as soon as the client has hung up."""
    with contextlib.suppress(OSError):
        return bool(select.select([line], [], [], seconds)[0])
    return True


@lru_cache(maxsize=1)
def _packed() -> bytes:
    """A gzip member that unpacks to a block of zeros; members in a row unpack to all of them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(bytes(_BLOCK)) + packer.flush()
