"""Typed settings as a form and as parameters of an address: whatever the settings declare is asked for, once.

A field of `RecommendationSettings` appears on the page and in the API by being declared there: its type says which
control it gets, its bounds what may be typed, its description what is said beside it.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from malsugoi_assets.web.problems import Problem

Pairs = Sequence[tuple[str, str]]
_WORD_LENGTH = 100
_MOST_WORDS = 100
_FEW = 12
_MANY = (tuple, list, set, frozenset)


@dataclass(frozen=True, eq=False)
class Control:
    """One field of a form: `kind` is check, number, dial, choice, some (of the options), words or text. Equal is what is the same.

    `value` as it stands in the control; `chosen`: the options that are; `usual`: whether that is the default; `options` of
    a dial: what its two ends mean.
    """

    name: str
    label: str
    help: str
    kind: str
    value: str
    options: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()
    usual: bool = True
    low: float | None = None
    high: float | None = None
    step: str = "any"


class Form:
    """The controls for a model's fields; those of the defaults are made once, and each stays the same object."""

    def __init__(self, model: type[BaseModel], words: Mapping[str, Sequence[str]] | None = None) -> None:
        """`words`: what may be named in fields of words, where that is known; a few are offered as boxes to tick."""
        self._model = model
        self._words = {name: tuple(some) for name, some in (words or {}).items()}
        self._defaults = {name: getattr(model(), name) for name in model.model_fields}
        made = ((name, self._control(name, value)) for name, value in self._defaults.items())
        self._usual = {name: control for name, control in made if control is not None}

    def controls(self, settings: BaseModel) -> dict[str, Control]:
        """The controls by the fields' names, showing what `settings` has; fields of no known type are left out."""
        shown = dict(self._usual)
        for name, default in self._defaults.items():
            value = getattr(settings, name)
            if value != default and (control := self._control(name, value)) is not None:
                shown[name] = replace(control, usual=False)
        return shown

    def _control(self, name: str, value: Any) -> Control | None:
        return _control(self._model, name, self._model.model_fields[name], value, self._words.get(name, ()))


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
            if len(given[name]) > _MOST_WORDS:
                raise Problem(400, f"{label_of(model, name)} ({name}): at most {_MOST_WORDS} can be named.")
        else:
            given[name] = value.strip()
    if too_long := [
        n for n, v in given.items() if any(len(w) > _WORD_LENGTH for w in (v if isinstance(v, list) else [v]))
    ]:
        raise Problem(400, f"{too_long[0]}: a value has at most {_WORD_LENGTH} characters.")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        if said := contradiction(error):
            raise Problem(400, f"{said[:1].upper()}{said[1:]}.", "Change one of them and try again.") from error
        first, *place = error.errors()[0]["loc"]
        name = str(first)
        fault = given[name][place[0]] if place and isinstance(place[0], int) else given[name]
        raise Problem(
            400,
            f"{label_of(model, name)} ({name}) can't be “{fault}”: it takes {takes(model.model_fields[name])}.",
            "Change it and try again.",
        ) from error


def contradiction(error: ValidationError) -> str:
    """What the settings say against each other, in words; '' where one value alone is at fault."""
    first = error.errors()[0]
    return "" if first["loc"] else str(first["ctx"]["error"])


def as_pairs(settings: BaseModel) -> list[tuple[str, str]]:
    """The parameters of an address that lead back to the settings; what has its default is left out."""
    usual = type(settings)()
    return [
        (name, _text(getattr(settings, name)))
        for name in type(settings).model_fields
        if getattr(settings, name) != getattr(usual, name)
    ]


def _control(
    model: type[BaseModel], name: str, info: FieldInfo, value: Any, words: tuple[str, ...]
) -> Control | None:
    annotation = without_none(info.annotation)
    label, told = label_of(model, name), _told(model, info)
    if annotation is bool:
        return Control(name, label, told, "check", _text(value))
    if annotation in (int, float):
        low, high = _bounds(info)
        step = "1" if annotation is int else "any"
        more = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        if isinstance(ends := more.get("ends"), list):
            # A browser moves what is off the steps: what an address says has to stay until somebody moves it.
            step = "0.1" if round(value, 1) == value else "any"
            return Control(
                name, label, told, "dial", _text(value), tuple(map(str, ends)), low=low, high=high, step=step
            )
        return Control(name, label, told, "number", _text(value), low=low, high=high, step=step)
    if get_origin(annotation) is Literal:
        return Control(name, label, told, "choice", _text(value), _options(annotation))
    if _is_many(info.annotation):
        known = _options(next(iter(get_args(annotation)), str)) or words
        if 0 < len(known) <= _FEW:
            spelt = {option.casefold(): option for option in known}
            chosen = tuple(spelt.get(str(word).casefold(), str(word)) for word in value)
            return Control(name, label, told, "some", "", known, chosen)
        return Control(name, label, told, "words", _text(value), known)
    return Control(name, label, told, "text", _text(value)) if annotation is str else None


def takes(info: FieldInfo) -> str:
    """What may be typed for a field, in words."""
    annotation = without_none(info.annotation)
    inner = next(iter(get_args(annotation)), str) if _is_many(annotation) else annotation
    if inner is bool:
        return "true or false"
    if options := _options(inner):
        return f"{', '.join(options[:-1])} or {options[-1]}" if len(options) > 1 else options[0]
    words = {int: "a whole number", float: "a number"}.get(inner, "words")
    return " ".join([words, *(_bound_in_words(bound) for bound in info.metadata)]).strip()


def _bound_in_words(bound: object) -> str:
    for kind, word in ((Ge, "from"), (Gt, "above"), (Le, "to"), (Lt, "below")):
        if isinstance(bound, kind):
            value = float(str(getattr(bound, kind.__name__.lower())))
            return f"{word} {value:.0f}" if value.is_integer() else f"{word} {value:g}"
    return ""


def _bounds(info: FieldInfo) -> tuple[float | None, float | None]:
    low = high = None
    for bound in info.metadata:
        if isinstance(bound, Ge | Gt):
            low = float(str(bound.ge if isinstance(bound, Ge) else bound.gt))
        elif isinstance(bound, Le | Lt):
            high = float(str(bound.le if isinstance(bound, Le) else bound.lt))
    return low, high


def _options(annotation: Any) -> tuple[str, ...]:
    return tuple(str(option) for option in get_args(annotation)) if get_origin(annotation) is Literal else ()


def _told(model: type[BaseModel], info: FieldInfo) -> str:
    """The description, with the names of other settings as their labels."""
    return re.sub(r"`(\w+)`", lambda name: f"“{label_of(model, name[1])}”", info.description or "").rstrip(".")


def label_of(model: type[BaseModel], name: str) -> str:
    """What people call a setting: its title; else its name, as words."""
    info = model.model_fields.get(name)
    return (info and info.title) or name.replace("_", " ").capitalize()


def without_none(annotation: Any) -> Any:
    """The type of a field that may be None besides."""
    if get_origin(annotation) in (Union, types.UnionType):
        rest = [part for part in get_args(annotation) if part is not type(None)]
        return rest[0] if len(rest) == 1 else annotation
    return annotation


def _is_many(annotation: Any) -> bool:
    return get_origin(without_none(annotation)) in _MANY


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, set | frozenset):
        return ", ".join(sorted(str(word) for word in value))
    if isinstance(value, tuple | list):
        return ", ".join(str(word) for word in value)
    return f"{value + 0.0:g}" if isinstance(value, float) else str(value)  # no "-0"
