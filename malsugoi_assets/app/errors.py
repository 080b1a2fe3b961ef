"""How commands end when they cannot do what was asked: one line, no traceback."""

from __future__ import annotations

import click


class UserError(click.ClickException):
    """The user's mistake (or the surroundings'): one line that says what to do; exit status 2."""

    exit_code = 2


class WorkError(click.ClickException):
    """The work itself failed: says what is safe and how to resume; exit status 1."""

    exit_code = 1
