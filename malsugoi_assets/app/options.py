"""Typed settings as options of a command: what the settings declare can be typed, with their bounds and their help."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from malsugoi_assets.app.errors import UserError
from malsugoi_assets.web.forms import contradiction, takes, without_none


def options_of(settings: type[BaseModel], *without: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a command with an option for each field but those named; not given is None (or empty)."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for name, info in reversed(settings.model_fields.items()):
            if name not in without:
                command = _option(name, info)(command)
        return command

    return decorate


def chosen(settings: type[BaseModel], given: dict[str, Any], **more: Any) -> Any:
    """The settings that the options say, and `more`; `UserError` in one line where a value is out of bounds or names nothing."""
    for name, value in given.items():
        if isinstance(value, tuple) and not all(part.strip(" ,") for part in value):
            needed = takes(settings.model_fields[name])
            raise UserError(f"{_flag(name)} was given without a word: it takes {needed}")
    said = {
        # No word of ours holds a comma; the page's addresses take several in one value too.
        name: tuple(word for part in value for word in map(str.strip, part.split(",")) if word)
        if isinstance(value, tuple)
        else value
        for name, value in given.items()
        if value not in (None, ())
    }
    try:
        return settings.model_validate({**said, **more})
    except ValidationError as error:
        if said_against := contradiction(error):
            raise UserError(said_against) from error
        first, *place = error.errors()[0]["loc"]
        name = str(first)
        fault = said[name][place[0]] if place and isinstance(place[0], int) else said[name]
        words = f"{fault:g}" if isinstance(fault, float) else fault
        raise UserError(f"{_flag(name)} can't be {words}: it takes {takes(settings.model_fields[name])}") from error


def _option(name: str, info: FieldInfo) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    annotation, flag, told = without_none(info.annotation), _flag(name), _told(info)
    if annotation is bool:
        return click.option(f"{flag}/--no-{name.replace('_', '-')}", name, default=None, help=told)
    if get_origin(annotation) is tuple:
        (inner, *_) = get_args(annotation)
        kind = click.Choice(get_args(inner)) if get_origin(inner) is Literal else str
        several = "May be given several times." if kind is not str else "May be given several times, or with commas."
        return click.option(flag, name, type=kind, multiple=True, help=f"{told} {several}")
    kinds = {int: click.INT, float: click.FLOAT}
    return click.option(flag, name, type=kinds.get(annotation, click.STRING), help=told)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _told(info: FieldInfo) -> str:
    """The description, with the names of other settings as their options, and the default of numbers."""
    told = re.sub(r"`(\w+)`", lambda name: _flag(name[1]), info.description or "")
    is_number = isinstance(info.default, int | float) and not isinstance(info.default, bool)
    return f"{told} [default: {info.default:g}]" if is_number else told
