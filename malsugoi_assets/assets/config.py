"""A Dagster config out of a model's settings: the hyper-parameters are declared once, in `recommend`."""

from __future__ import annotations

from typing import Any

import dagster as dg
from pydantic import BaseModel, create_model


def config_of(settings: type[BaseModel]) -> type[dg.Config]:
    """A `dg.Config` with the fields, defaults, bounds and help of `settings`; `.settings` gives those back."""
    fields: dict[str, Any] = {name: (info.annotation, info) for name, info in settings.model_fields.items()}

    class _Derived(dg.Config):
        @property
        def settings(self) -> BaseModel:
            return settings.model_validate({name: getattr(self, name) for name in fields})

    made: type[dg.Config] = create_model(
        settings.__name__.replace("Settings", "Config"), __base__=_Derived, __doc__=settings.__doc__, **fields
    )
    return made
