"""Every selector, label and marker that the parsers rely on, each declared once.

None of them hangs on classes of the body (they change with the season) or on pictures.
"""

from __future__ import annotations

# Anime's detail page. Selectors are CSS; several alternatives are tried in their order.
LABEL = "span.dark_text"
TITLE = ("h1.title-name strong", "h1 [itemprop=name]", ".h1-title [itemprop=name]", "h1:not([class])")
TITLE_BESIDE = ".title-english, br ~ span, p, div"
ACTIVE_TAB = "horiznav_active"
DETAILS_TAB = "Details"
TITLE_ENGLISH = "p.title-english"
ANIME_ID_INPUT = "input#myinfo_anime_id"
RATING_VALUE = "[itemprop=ratingValue]"
RATING_COUNT = "[itemprop=ratingCount]"
SCORE_LABEL = ".score-label"
GENRE_LINK = 'a[href*="/anime/genre/"], a[href*="anime.php?genre"]'
STUDIO_LINK = 'a[href*="/anime/producer/"], a[href*="anime.php?p="]'
RELATION_LABEL = "table.anime_detail_related_anime td.ar, table.entries-table td.ar"
RELATION_TILE = ".related-entries .entry"
RELATION_TILE_NAME = ".relation"
RELATION_LINK = "table.anime_detail_related_anime a[href], .related-entries a[href]"
RELATION_TILE_LINK = ".title a[href]"

# Labels that every detail page carries, whatever its year; a page without one is not whole.
REQUIRED_LABELS = (
    "Type",
    "Episodes",
    "Status",
    "Aired",
    "Score",
    "Ranked",
    "Popularity",
    "Members",
    "Favorites",
)
MANGA_LABELS = ("Volumes", "Chapters")
GENRE_LABELS = ("Genre", "Genres", "Explicit Genre", "Explicit Genres")
THEME_LABELS = ("Theme", "Themes")
DEMOGRAPHIC_LABELS = ("Demographic", "Demographics")
STUDIO_LABELS = ("Studio", "Studios")
KNOWN_LABELS = (
    *REQUIRED_LABELS,
    *GENRE_LABELS,
    *THEME_LABELS,
    *DEMOGRAPHIC_LABELS,
    *STUDIO_LABELS,
    "English",
    "Japanese",
    "Synonyms",
    "Premiered",
    "Source",
    "Duration",
    "Rating",
)

UNKNOWN_WORDS = frozenset({"N/A", "Unknown", "None", "?", "-", "Not available", "Not yet aired"})
NOTHING_YET = ("none found", "add some", "have been added", "no genres")
STATUSES = frozenset({"Finished Airing", "Currently Airing", "Not yet aired"})
FINISHED = "Finished Airing"

# Ranking page.
TOP_ROW_CLASS = "ranking-list"
TOP_RANK = "span.top-anime-rank-text"
TOP_TITLE = "h3.anime_ranking_h3 a[href], a.hoverinfo_trigger.fw-b[href]"
TOP_SCORE = "td.score span.text"

# Users page.
USER_LINK = 'td.borderClass div a[href*="/profile/"]'
NOTICE = ".badresult"

# List pages.
LIST_ROW = "tr.list-table-data"
LIST_ROW_TITLE = "td.title a.link[href]"
LIST_ROW_SCORE = "td.score"
LIST_ROW_STATUS = "td.status"
LIST_ROW_PROGRESS = "td.progress a.link"
LIST_TAB_ALL = ".status-button.all_anime.on"
TEMPLATE_MARK = "${"
ROWS_A_PAGE = 300
CLASSIC_TAB = "td.status_selected a[href]"
CLASSIC_TABS = "td.status_selected, td.status_not_selected"
CLASSIC_TITLE = "animetitle"  # a class
CLASSIC_SCORE = "span.score-label"
CLASSIC_COLUMN = "table_header"
CLASSIC_HEADERS = {
    "header_cw": "watching",
    "header_completed": "completed",
    "header_onhold": "on_hold",
    "header_dropped": "dropped",
    "header_ptw": "plan_to_watch",
}
ROW_CLASSES = {
    "watching": "watching",
    "completed": "completed",
    "onhold": "on_hold",
    "dropped": "dropped",
    "plantowatch": "plan_to_watch",
}

# What a page that is something else says of itself: in its title or first heading, in lower case ...
SAID_NOT_FOUND = ("404 not found", "404", "page not found", "not found", "invalid id")
SAID_BLOCK = (
    "403",
    "405",
    "429",
    "forbidden",
    "access denied",
    "blocked",
    "you have been blocked",
    "sorry, you have been blocked",
    "attention required",
    "could not be satisfied",
    "too many requests",
    "sucuri website firewall",
    "error 1015",
)
SAID_CAPTCHA = (
    "just a moment",
    "one moment, please",
    "please wait",
    "checking your browser",
    "verification",
    "human verification",
    "bot verification",
    "verify you are human",
    "please verify",
    "are you human",
    "not a robot",
    "captcha",
    "recaptcha",
    "security check",
    "ddos-guard",
    "pardon our interruption",
    "access to this page has been denied",
)
SAID_MAINTENANCE = (
    "maintenance",
    "502",
    "503",
    "504",
    *map(str, range(520, 528)),
    "service unavailable",
    "temporarily unavailable",
    "bad gateway",
    "gateway timeout",
    "web server is down",
)
SAID_LOGIN = ("login", "log in", "sign in", "login required")
# ... in a notice ...
SAID_PRIVATE = ("restricted by the owner", "list is private", "access to this list")
SAID_NO_USER = (
    "invalid username",
    "user does not exist",
    "user not found",
    "no such user",
    "failed to find the specified user",
)
SAID_NO_ID = ("invalid id provided", "no series found")
SAID_IN_MAINTENANCE = (
    "for maintenance",
    "in maintenance",
    "under maintenance",
    "undergoing maintenance",
    "maintenance mode",
    "maintenance in progress",
    "scheduled maintenance",
    "performing maintenance",
)
SAID_NO_USERS = ("no users", "no results")
# ... or by what it is made of (only looked at where the expected content is missing).
MADE_OF_BLOCK = ("_incapsula_resource",)
MADE_OF_CAPTCHA = (
    'class="g-recaptcha"',
    "h-captcha",
    "cf-turnstile",
    "cf-challenge",
    "captcha-container",
    "awswafcaptcha",
)
MADE_OF_CHALLENGE = (
    "awswafcookiedomainlist",
    "gokuprops",
    "challenge-platform",
    "captcha-delivery.com",
    "px-captcha",
    "g-recaptcha",
)
MADE_OF_LOGIN = ('name="loginform"', 'id="loginform"', 'name="user_name"')
