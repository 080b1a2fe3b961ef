"""`python -m malsugoi_assets.app`: the same as the command `malsugoi`."""

from malsugoi_assets.app.cli import main

if __name__ == "__main__":  # worker processes import this module again
    main(prog_name="malsugoi")
