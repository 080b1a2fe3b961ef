"""Ports of this machine's own address, the only one that our pages listen on."""

from __future__ import annotations

import socket

from malsugoi_assets.app.errors import UserError

HOST = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """A socket bound to `port`, for a server to listen on, or a `UserError` of one line where it cannot be had."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except OSError as error:
        listening.close()
        raise UserError(f"port {port} of {HOST} cannot be had ({error.strerror}): use --port") from error
    return listening
