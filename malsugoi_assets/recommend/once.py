"""An attribute that is worked out when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class once(Generic[T]):  # noqa: N801
    """As `functools.cached_property`, without the lock that Python 3.11 shares between all objects of a class.

    For objects that one thread alone uses, beside others of the same class in other threads: they would wait for each other.
    """

    def __init__(self, work: Callable[[Any], T]) -> None:
        self.work, self.name, self.__doc__ = work, "", work.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> T:
        """Asked only where the object has no value of that name yet."""
        found = self.work(instance)
        instance.__dict__[self.name] = found
        return found
