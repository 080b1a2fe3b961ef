"""Typed settings as a form and as parameters of an address: whatever the settings declare is asked for, once.

A field of `RecommendationSettings` appears on the page and in the API by being declared there: its type says which
control it gets, its bounds what may be typed, its description what is said beside it.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from malsugoi_assets.web.problems import Problem

Pairs = Sequence[tuple[str, str]]
_WORD_LENGTH = 100
_MANY = (tuple, list, set, frozenset)


@dataclass(frozen=True)
class Control:
    """One field of a form: `kind` is check, number, choice, words or text; `value` as it stands in the control."""

    name: str
    label: str
    help: str
    kind: str
    value: str
    options: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    step: str = "any"


def controls(settings: BaseModel) -> list[Control]:
    """The controls for a model's fields, showing what `settings` has; fields of no known type are left out."""
    made = (_control(name, info, getattr(settings, name)) for name, info in type(settings).model_fields.items())
    return [control for control in made if control is not None]


def read(model: type[BaseModel], pairs: Pairs) -> BaseModel:
    """The settings that an address's parameters name; what is not named has its default.

    Raises `Problem` (400) naming the parameter at fault. Empty values count as not named; words are separated by commas.
    """
    given: dict[str, Any] = {}
    for name, value in pairs:
        info = model.model_fields.get(name)
        if info is None:
            raise Problem(400, f"There is no setting “{name[:40]}”.", f"There are: {', '.join(model.model_fields)}.")
        if not value.strip():
            continue
        if _is_many(info.annotation):
            words = [word.strip() for word in value.split(",")]
            given.setdefault(name, []).extend(word for word in words if word)
        else:
            given[name] = value.strip()
    if too_long := [
        n for n, v in given.items() if any(len(w) > _WORD_LENGTH for w in (v if isinstance(v, list) else [v]))
    ]:
        raise Problem(400, f"{too_long[0]}: a value has at most {_WORD_LENGTH} characters.")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        raise Problem(400, f"{_label(name)}: {first['msg']}.", "Change it and try again.") from error


def as_pairs(settings: BaseModel) -> list[tuple[str, str]]:
    """The parameters of an address that lead back to the settings; what has its default is left out."""
    usual = type(settings)()
    return [
        (name, _text(getattr(settings, name)))
        for name in type(settings).model_fields
        if getattr(settings, name) != getattr(usual, name)
    ]


def _control(name: str, info: FieldInfo, value: Any) -> Control | None:
    annotation = _without_none(info.annotation)
    low = next((float(m.ge if isinstance(m, Ge) else m.gt) for m in info.metadata if isinstance(m, Ge | Gt)), None)  # type: ignore[arg-type]
    high = next((float(m.le if isinstance(m, Le) else m.lt) for m in info.metadata if isinstance(m, Le | Lt)), None)  # type: ignore[arg-type]
    label, told = _label(name), (info.description or "").rstrip(".")
    if annotation is bool:
        return Control(name, label, told, "check", _text(value))
    if annotation in (int, float):
        return Control(name, label, told, "number", _text(value), (), low, high, "1" if annotation is int else "any")
    if get_origin(annotation) is Literal:
        options = tuple(str(option) for option in get_args(annotation))
        return Control(name, label, told, "choice", _text(value), options)
    if _is_many(info.annotation):
        inner = next(iter(get_args(annotation)), str)
        options = tuple(str(option) for option in get_args(inner)) if get_origin(inner) is Literal else ()
        return Control(name, label, told, "words", _text(value), options)
    return Control(name, label, told, "text", _text(value)) if annotation is str else None


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        rest = [part for part in get_args(annotation) if part is not type(None)]
        return rest[0] if len(rest) == 1 else annotation
    return annotation


def _is_many(annotation: Any) -> bool:
    return get_origin(_without_none(annotation)) in _MANY


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, set | frozenset):
        return ", ".join(sorted(str(word) for word in value))
    if isinstance(value, tuple | list):
        return ", ".join(str(word) for word in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
