"""One request of a flow: ask, see whether it is the page that was asked for, keep what came either way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from malsugoi_assets.mal.client import Answer, ClientError
from malsugoi_assets.mal.errors import NotFound, PageError, UnexpectedPage
from malsugoi_assets.mal.freshness import GONE
from malsugoi_assets.mal.store import MissingBody, PageKind, PageStore, StoredPage

T = TypeVar("T")
Progress = Callable[[str, int, int], None]
"""Called with what is counted ('anime pages'), how many are done, and of how many."""


class Client(Protocol):
    """What the flows need of a client.

    `takes_validators`: whether it can ask for a page only if that has changed.
    """

    base_url: str
    takes_validators: bool

    def get(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        check: Callable[[Answer], None] | None = None,
        validators: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask for a page; see `MalClient.get`."""
        ...


class SiteStopped(RuntimeError):
    """The site refuses or does not answer, so the flow ended early; what was fetched is kept and never asked again."""

    def __init__(self, what: str, done: int, total: int | None, cause: ClientError | PageError) -> None:
        of = f" of {total:,}" if total is not None else ""
        retry_at = getattr(cause, "retry_at", None)
        when = f" after {retry_at:%Y-%m-%d %H:%M:%S} UTC" if retry_at else " later"
        super().__init__(
            f"{what}: {cause}. Stopped after {done:,}{of}; what was fetched is kept. "
            f"Run the same command again{when}: it goes on from there"
        )
        self.done, self.total, self.cause = done, total, cause


@dataclass(frozen=True)
class _Kept(Generic[T]):
    """A page in the store, what is read of it (with its note), and the headers that ask whether it still holds."""

    page: StoredPage
    content: tuple[T, str | None]
    validators: Mapping[str, str]


class Fetcher:
    """Client and store together."""

    def __init__(self, client: Client, store: PageStore, now: Callable[[], datetime]) -> None:
        self.client, self.store, self.now = client, store, now

    def fetch(
        self,
        kind: PageKind,
        key: str,
        path: str,
        params: Mapping[str, str | int] | None,
        read: Callable[[bytes], tuple[T, str | None]],
    ) -> tuple[StoredPage, T]:
        """Ask for a page and keep it; `read` gives its content and a note to keep with it.

        Where a good one is kept, and the site said how to, only a changed one is asked for: 304 means that it still
        holds, and costs no new file.

        Raises: what `read` raises (the answer is kept as not good), or a `ClientError` (kept as a failure).
        """
        kept = self._kept(kind, key, read)
        found: list[tuple[T, str | None]] = []
        problem: list[PageError] = []

        def check(answer: Answer) -> None:
            found.clear()
            problem.clear()
            try:
                if answer.status == 304 and kept is not None:
                    found.append(kept.content)
                    return
                if answer.status in GONE:
                    raise NotFound(path, f"status {answer.status}")
                found.append(read(answer.body))
                if answer.status >= 400:
                    raise UnexpectedPage(path, f"status {answer.status}")
            except PageError as error:
                problem.append(error)
                raise

        try:
            answer = self.client.get(path, params, check=check, validators=kept.validators if kept else None)
        except ClientError as error:
            reason = f"{error.reason}" + (f" (tried {error.attempts} times)" if error.attempts > 1 else "")
            self.store.add_failure(kind, key, error.url, at=self.now(), http_status=error.status, note=reason)
            raise
        if not found and not problem:  # a client without checks
            check(answer)
        if problem:
            self.store.add(kind, key, answer, good=False, note=str(problem[0]))
            raise problem[0]
        content, note = found[0]
        if answer.status == 304 and kept is not None:
            return self.store.confirm(kept.page, at=answer.fetched_at, note=note), content
        return self.store.add(kind, key, answer, good=True, note=note), content

    def _kept(self, kind: PageKind, key: str, read: Callable[[bytes], tuple[T, str | None]]) -> _Kept[T] | None:
        """The last good page, where the client can ask whether it still holds."""
        if not self.client.takes_validators:
            return None
        page = self.store.last_good(kind, key)
        if page is None or not (validators := self.store.validators(page)):
            return None
        try:
            return _Kept(page, read(self.store.body(page)), validators)
        except (MissingBody, PageError):  # broken on disk, or a parser that knows better now
            return None


class Patience:
    """Counts refusals in a row and says when enough is enough."""

    def __init__(self, what: str, total: int | None, most: int) -> None:
        self._what, self._total, self._most = what, total, most
        self._row = 0

    def went_well(self) -> None:
        """The site answers."""
        self._row = 0

    def refused(self, error: ClientError, done: int) -> None:
        """Raises `SiteStopped` at the third failure in a row (a setting), where it is known when to come back, or at
        the first one that leaves no hope.
        """
        self._row += 1
        if self._row >= self._most or error.hopeless or getattr(error, "retry_at", None) is not None:
            raise SiteStopped(self._what, done, self._total, error) from error
