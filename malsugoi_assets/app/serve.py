"""`malsugoi serve`: the web page on this machine's own address."""

from __future__ import annotations

import gc

import click

from malsugoi_assets.app.errors import UserError
from malsugoi_assets.app.ports import HOST, listen


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="Of 127.0.0.1.")
def serve(port: int) -> None:
    """Open the web page: upload a list or type a name, see what to watch next, and why.

    It shows what is published, also while the pipeline works, and goes on to the next state by itself. Ctrl-C ends it.
    """
    import uvicorn

    from malsugoi_assets.app.cli import console, load_settings
    from malsugoi_assets.warehouse.data_dir import DataDirError
    from malsugoi_assets.web.app import build_app

    try:
        # The catalogue stays: to look through it for garbage holds everybody up for a third of a second, again and again.
        app = build_app(load_settings(), ready=gc.freeze)
    except DataDirError as error:
        raise UserError(str(error)) from error
    with listen(port) as listening:
        console.print(f"http://{HOST}:{port}  (Ctrl-C ends it)", markup=False)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=5,
            limit_concurrency=200,
            h11_max_incomplete_event_size=32 * 2**10,
        )
        uvicorn.Server(config).run(sockets=[listening])
