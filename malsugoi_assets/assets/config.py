"""A Dagster config out of a model's settings: the hyper-parameters are declared once, in `recommend`."""

from __future__ import annotations

from typing import Any, get_origin

import dagster as dg
from pydantic import BaseModel, create_model
from pydantic.fields import FieldInfo


def config_of(settings: type[BaseModel]) -> type[dg.Config]:
    """A `dg.Config` with the fields, defaults, bounds and help of `settings`; `.settings` gives those back.

    Tuples of words are lists of words here.
    """
    fields: dict[str, Any] = {name: _field(info) for name, info in settings.model_fields.items()}

    class _Derived(dg.Config):
        @property
        def settings(self) -> BaseModel:
            return settings.model_validate({name: getattr(self, name) for name in fields})

    made: type[dg.Config] = create_model(
        settings.__name__.replace("Settings", "Config"), __base__=_Derived, __doc__=settings.__doc__, **fields
    )
    return made


def _field(info: FieldInfo) -> tuple[Any, FieldInfo]:
    """A field as Dagster's configs can have it: no tuples, no literals; `.settings` holds values to those again."""
    if get_origin(info.annotation) is tuple:
        return list[str], FieldInfo(default=list(info.default), description=info.description)
    return info.annotation, info
