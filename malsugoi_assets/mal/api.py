"""The official API (v2): a client that carries the client id, and what the flows over the site ask of it.

`api_answers` reads what comes. What the API does not have (the user search) stays with the pages. Every call says
`nsfw=true`: without it the API leaves entries out, also harmless ones.

The client id is a secret. It travels in one header to the API's own host and stands nowhere else: in no URL, error,
log, stored answer or `repr`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import requests
from pydantic import SecretStr

from malsugoi_assets.mal.api_answers import (
    EXPECTED,
    ApiListPage,
    PastTheEnd,
    parse_api_list,
    parse_api_ranking,
    parse_api_title,
    raise_past_the_end,
)
from malsugoi_assets.mal.client import Answer, Blocked, MalClient
from malsugoi_assets.mal.errors import NotFound, PageError, UnexpectedPage
from malsugoi_assets.mal.fetching import Fetcher
from malsugoi_assets.mal.freshness import AIRING
from malsugoi_assets.mal.list_json import load
from malsugoi_assets.mal.records import ListEntry, TopEntry
from malsugoi_assets.mal.soup import decode, explain
from malsugoi_assets.mal.store import MissingBody, PageKind, StoredPage
from malsugoi_assets.usernames import canonical

HEADER = "X-MAL-CLIENT-ID"
LIST_LIMIT = 1_000
RANKING_LIMIT = 50
"""Rows a request; the ranking's is what a ranking page holds, so that a walk may change over between the two."""

TITLE_FIELDS = (
    "alternative_titles,start_date,end_date,mean,rank,popularity,num_list_users,num_scoring_users,num_favorites,"
    "media_type,status,genres,num_episodes,average_episode_duration,start_season,source,rating,studios,related_anime,related_manga"
)
_LAST_PAGE = 200


class ApiRefused(Blocked):
    """The API takes no request with this client id, or there is no API at this address. Asking again is pointless."""

    hopeless = True


class ApiClient(MalClient):
    """`MalClient` for the API: the same pace, patience and cool-down, with the client id in a header."""

    takes_validators = False

    def __init__(self, base_url: str, client_id: SecretStr, **options: Any) -> None:
        super().__init__(base_url, **options)
        self._client_id = client_id

    def get(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        check: Callable[[Answer], None] | None = None,
        validators: Mapping[str, str] | None = None,
    ) -> Answer:
        """As `MalClient.get`. Raises also `ApiRefused`: nobody is private or missing because of a wrong client id."""

        def look(answer: Answer) -> None:
            _refuse(answer)
            if check is not None:
                check(answer)

        answer = super().get(path, {**(params or {}), "nsfw": "true"}, check=look)
        secret = self._client_id.get_secret_value().encode()
        if secret not in answer.body:
            return answer
        body = answer.body.replace(secret, b"***")
        return replace(answer, body=body, sha256=hashlib.sha256(body).hexdigest())

    def _session(self) -> requests.Session:
        session = super()._session()
        session.headers[HEADER] = self._client_id.get_secret_value()
        return session


class Api:
    """What the flows ask of the API; every answer is kept in the store, under the same keys as pages where it can be."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    def ranking(self, offset: int) -> list[TopEntry]:
        """The ranking from row `offset` on. Raises `NotFound` past its end, as for pages."""

        def read(body: bytes) -> tuple[list[TopEntry], None]:
            raise_past_the_end(body)
            entries = parse_api_ranking(body)
            if not entries:
                raise PastTheEnd(EXPECTED)
            return entries, None

        params: dict[str, str | int] = {
            "ranking_type": "all",
            "limit": RANKING_LIMIT,
            "offset": offset,
            "fields": "mean",
        }
        return self._fetcher.fetch("top", str(offset), "/anime/ranking", params, read)[1]

    def title(self, anime_id: int) -> None:
        """Ask for a title and keep the answer. Raises a PageError (NotFound: there is none) or a ClientError."""

        def read(body: bytes) -> tuple[None, str | None]:
            page = parse_api_title(body)
            if page.anime_id != anime_id:
                raise UnexpectedPage(f"anime {anime_id}", f"anime {page.anime_id}")
            return None, AIRING if page.status in ("Currently Airing", "Not yet aired") else None

        self._fetcher.fetch("anime", str(anime_id), f"/anime/{anime_id}", {"fields": TITLE_FIELDS}, read)

    def whole_list(
        self, username: str, kept: Callable[[PageKind, str], StoredPage | None]
    ) -> tuple[tuple[ListEntry, ...], list[StoredPage]]:
        """All rows of a list, one an anime, and the answers that they stand on; `kept` gives those of an interrupted try.

        Raises `PrivateList`, `NotFound` (there is no such user), another PageError, or a ClientError.
        """
        path = f"/users/{quote(username, safe='')}/animelist"
        rows: dict[int, ListEntry] = {}
        pages: list[StoredPage] = []
        offset: int | None = 0
        for _ in range(_LAST_PAGE):
            if offset is None:
                break
            try:
                page, found = self._list_page(path, canonical(username), offset, kept)
            except PastTheEnd as error:
                if offset == 0:
                    raise UnexpectedPage(EXPECTED, "status 400") from error
                break
            pages.append(page)
            rows |= {entry.anime_id: entry for entry in found.entries}
            if found.next_offset is not None and found.next_offset <= offset:
                raise UnexpectedPage(EXPECTED, f"the rows after {offset} are said to begin at {found.next_offset}")
            offset = found.next_offset
        return tuple(rows.values()), pages

    def _list_page(
        self, path: str, key: str, offset: int, kept: Callable[[PageKind, str], StoredPage | None]
    ) -> tuple[StoredPage, ApiListPage]:
        page_key = f"{key}?api={offset}"
        page = kept("list_json", page_key)
        if page is not None:
            try:
                return page, parse_api_list(self._fetcher.store.body(page))
            except (MissingBody, PageError):
                pass

        def read(body: bytes) -> tuple[ApiListPage, None]:
            raise_past_the_end(body)
            return parse_api_list(body), None

        params: dict[str, str | int] = {"fields": "list_status", "sort": "anime_title", "limit": LIST_LIMIT}
        if offset:
            params["offset"] = offset
        return self._fetcher.fetch("list_json", page_key, path, params, read)


def _refuse(answer: Answer) -> None:
    """Raise for an answer that is not the API's, and for one that says that the client id is not taken."""
    text = decode(answer.body).strip()
    if text.startswith("<"):
        error = explain(text, EXPECTED)
        if isinstance(error, NotFound | UnexpectedPage):
            reason = f"no API answers there, but {error.found}; is MALSUGOI_MAL_API_URL right?"
            raise ApiRefused(answer.url, reason, status=answer.status)
        raise error
    value = load(text, EXPECTED)
    said = str(value.get("error", "")) if isinstance(value, dict) else ""
    private = said == "not_permitted" and "/users/" in answer.url
    about_the_id = answer.status == 400 and "client" in str(value).lower()
    if (answer.status in (401, 403) and not private) or about_the_id:
        code = f", {said}" if re.fullmatch(r"[a-z_]{1,40}", said) else ""
        reason = (
            f"the API does not take the client id (status {answer.status}{code}); set MALSUGOI_MAL_CLIENT_ID to a "
        )
        raise ApiRefused(answer.url, reason + "valid one, or unset it to read pages", status=answer.status)
    if answer.status == 404 and said != "not_found":
        reason = "status 404 without the API's own words; is MALSUGOI_MAL_API_URL right?"
        raise ApiRefused(answer.url, reason, status=404)
