"""`python -m malsugoi_assets.app`: the same as the command `malsugoi`."""

from malsugoi_assets.app.cli import main

main(prog_name="malsugoi")
