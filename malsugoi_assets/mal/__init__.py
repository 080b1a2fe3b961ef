"""The site: pure parsers, a polite client, the page store, and the replica.

Exported here are the six parsers, the records that they return and the errors that they raise.
"""

from __future__ import annotations

from malsugoi_assets.mal.anime_page import parse_anime_page
from malsugoi_assets.mal.errors import (
    BlockPage,
    Captcha,
    LoginWall,
    Maintenance,
    MangaPage,
    NeedsScripts,
    NotFound,
    PageError,
    PhoneLayout,
    PrivateList,
    TruncatedPage,
    UnexpectedPage,
    UnknownUser,
)
from malsugoi_assets.mal.list_export import parse_list_export
from malsugoi_assets.mal.list_json import parse_list_json
from malsugoi_assets.mal.list_page import parse_list_page
from malsugoi_assets.mal.records import AnimePage, ListEntry, ListExport, ListPage, ListState, Relation, TopEntry
from malsugoi_assets.mal.top_page import parse_top_page
from malsugoi_assets.mal.users_page import parse_users_page

__all__ = [
    "AnimePage",
    "BlockPage",
    "Captcha",
    "ListEntry",
    "ListExport",
    "ListPage",
    "ListState",
    "LoginWall",
    "Maintenance",
    "MangaPage",
    "NeedsScripts",
    "NotFound",
    "PageError",
    "PhoneLayout",
    "PrivateList",
    "Relation",
    "TopEntry",
    "TruncatedPage",
    "UnexpectedPage",
    "UnknownUser",
    "parse_anime_page",
    "parse_list_export",
    "parse_list_json",
    "parse_list_page",
    "parse_top_page",
    "parse_users_page",
]
