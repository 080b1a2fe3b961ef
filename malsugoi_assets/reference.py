"""The pages of `docs/` that are made from declarations: `python -m malsugoi_assets.reference` writes them."""

from __future__ import annotations

from pathlib import Path

import click

from malsugoi_assets.app.cli import main
from malsugoi_assets.settings import Settings, variable
from malsugoi_assets.warehouse.tables import TABLES, VIEWS

_MADE = "<!-- Made by `python -m malsugoi_assets.reference` from the declarations; change those. -->"
DOCS = Path(__file__).parent.parent / "docs"


def tables_page() -> str:
    """docs/tables.md: every table and view with its columns."""
    parts = ["# Tables", _MADE, "All in `malsugoi.duckdb`, schema `main`. Unknown values are NULL."]
    for table in TABLES.values():
        if not table.published:
            continue
        kept = "one partition a user batch" if table.partitioned else "one file"
        parts += [f"## {table.name}", f"{table.comment}.", f"Key: `{', '.join(table.key)}`; {kept}."]
        lines = ["| column | type | meaning |", "|---|---|---|"]
        for column in table.columns:
            comment = column.comment.replace("|", "\\|")
            lines.append(f"| `{column.name}` | `{column.type}` | {comment} |")
        parts.append("\n".join(lines))
    for view in VIEWS:
        parts += [f"## {view.name} (view)", f"{view.comment}."]
    return "\n\n".join(parts) + "\n"


def configuration_page() -> str:
    """docs/configuration.md: every environment variable."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name, info in Settings.model_fields.items():
        default = "–" if info.default is None else f"`{info.default}`"
        lines.append(f"| `{variable(name)}` | {default} | {info.description} |")
    return "\n\n".join(["# Configuration", _MADE, "\n".join(lines)]) + "\n"


def commands_page() -> str:
    """docs/commands.md: what every command says of itself."""
    whole = click.Context(main, info_name="malsugoi", terminal_width=100, **main.context_settings)
    parts = ["# Commands", _MADE, f"```\n{main.get_help(whole)}\n```"]
    for name in main.list_commands(whole):
        command = main.get_command(whole, name)
        assert command is not None
        shown = command.get_help(click.Context(command, parent=whole, info_name=name, terminal_width=100))
        parts += [f"## malsugoi {name}", f"```\n{shown}\n```"]
    return "\n\n".join(parts) + "\n"


PAGES = {"tables.md": tables_page, "configuration.md": configuration_page, "commands.md": commands_page}


def write_pages() -> None:
    """Write all of `PAGES` into docs/."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())


if __name__ == "__main__":
    write_pages()
