"""The world as HTML and JSON: the structure that the site's pages have in 2025, with invented content.

Each function returns one body. What has misled readers of the real pages is here too: footnote marks behind numbers,
hidden copies of genre names and vote counts, the visitor's own empty score column, relation tiles beside a table, and
in `load.json` text that looks like a number as a number.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from html import escape
from urllib.parse import quote

from malsugoi_assets.mal.replica import titles as words
from malsugoi_assets.mal.replica.world import FIRST_MANGA_ID, PLANNED, Entry, Figures, Title, User, World

TOP_PAGE = 50
USERS_PAGE = 24
LIST_PAGE = 300

_GENRE_IDS = {name: 1 + k for k, name in enumerate(words.GENRES + words.THEMES + words.DEMOGRAPHICS)}
_STUDIO_IDS = {name: 11 + k for k, name in enumerate(words.STUDIOS)}
_STATUS_NAMES = {
    1: ("watching", "cw", "Currently Watching"),
    2: ("completed", "completed", "Completed"),
    3: ("onhold", "onhold", "On Hold"),
    4: ("dropped", "dropped", "Dropped"),
    6: ("plantowatch", "ptw", "Plan to Watch"),
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def page(title: str, content: str, *, body: str = "page-common", head: str = "") -> str:
    """A whole page around `content`."""
    return f"""<!DOCTYPE html>
<html lang="en" class="appearance-none">
<head>
<meta charset="utf-8">
<title>
{escape(title)} - MyAnimeList.net
</title>
<meta property="og:site_name" content="MyAnimeList.net">
{head}</head>
<body class="{body}">
<div id="myanimelist"><div class="wrapper"><div id="headerSmall"><a href="/" class="link-mal-logo">MyAnimeList.net</a>
<ul id="nav"><li><a href="/anime.php">Anime</a></li><li><a href="/topanime.php">Top Anime</a></li><li>\
<a href="/users.php">Users</a></li></ul></div>
<div id="contentWrapper">
{content}
</div></div></div>
<footer><div class="footer-copyright">A local replica for development. All titles and people are invented.</div></footer>
</body>
</html>
"""


def slug(title: str) -> str:
    """The last part of a title's address, percent-encoded as a browser would send it."""
    return quote("".join(c if c.isalnum() or c in "-" else "_" for c in title))


def anime_path(title: Title) -> str:
    """The address of a title's page."""
    return f"/anime/{title.anime_id}/{slug(title.title)}"


def not_found() -> str:
    """The site's page for what does not exist (status 404)."""
    return page(
        "404 Not Found",
        '<h1 class="h1">404 Not Found</h1><div id="content"><div class="error404">'
        "<h1>404 Not Found</h1><p>This page doesn't exist.</p></div></div>",
    )


def captcha() -> str:
    """A page that wants proof of a person; the site serves such with status 200."""
    return page(
        "Verification",
        '<h1 class="h1">Are you human?</h1><div id="content" class="captcha-container">'
        "<p>Please verify that you are not a robot to go on.</p>"
        '<form action="/" method="post"><div class="g-recaptcha" data-sitekey="replica"></div>'
        '<input type="submit" value="Submit"></form></div>',
    )


def maintenance() -> str:
    """The page while the site is being worked on (status 503)."""
    return page(
        "Maintenance",
        '<h1 class="h1">Maintenance</h1><div id="content"><p>The site is down for maintenance. Come back soon.</p></div>',
    )


def block_page() -> str:
    """What the guard in front of the site says to whom it takes for a machine (status 403, or even 200)."""
    return (
        "<!DOCTYPE html><html><head><title>Access Denied</title></head><body><h1>Access Denied</h1>"
        "<p>Your request looks automated. Reference 18.replica</p></body></html>\n"
    )


def login() -> str:
    """The page that asks to log in."""
    return page(
        "Login",
        '<h1 class="h1">Login</h1><div id="content"><form name="loginForm" method="post" action="/login.php">'
        '<input type="text" name="user_name"><input type="password" name="password"></form></div>',
    )


def too_many_requests() -> str:
    """The short page that comes with status 429."""
    return (
        "<html><head><title>429 Too Many Requests</title></head><body><h1>429 Too Many Requests</h1></body></html>\n"
    )


def server_error(status: int) -> str:
    """The short page that comes with a status in the 500s (or any other that a fault asks for)."""
    return f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n"


def _links(names: Sequence[str], kind: str, ids: dict[str, int], *, hidden: bool) -> str:
    copy = '<span itemprop="genre" style="display: none">{0}</span>' if hidden else ""
    link = '<a href="/anime/{kind}/{id}/{slug}" title="{0}">{0}</a>'
    return ",         ".join(
        (copy + link).format(escape(name), kind=kind, id=ids[name], slug=slug(name)) for name in names
    )


def _duration(title: Title) -> str:
    hours, minutes = divmod(title.episode_minutes, 60)
    length = f"{hours} hr. {minutes} min." if hours else f"{minutes} min."
    return length if title.episodes == 1 else f"{length} per ep."


def _label(name: str, value: str) -> str:
    return f'<div class="spaceit_pad">\n  <span class="dark_text">{name}:</span>\n  {value}\n  </div>\n'


def _listed(singular: str, plural: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    return _label(singular if len(names) == 1 else plural, _links(names, "genre", _GENRE_IDS, hidden=True))


def _aired(title: Title) -> str:
    def day(value: object) -> str:
        return f"{_MONTHS[value.month - 1]} {value.day}, {value.year}" if value else "?"  # type: ignore[attr-defined]

    if title.aired_from is None:
        return "Not available"
    if title.aired_to == title.aired_from:
        return day(title.aired_from)
    return f"{day(title.aired_from)} to {day(title.aired_to)}"


def _relations(world: World, title: Title) -> str:
    if not title.relations:
        return ""

    def target(kind: str, related_id: int) -> tuple[str, str, str]:
        if kind == "manga":
            name = world.titles[title.index].title
            return f"/manga/{related_id}/{slug(name)}", name, "Manga"
        other = world.titles[world.index[related_id]]
        return anime_path(other), other.title, other.type

    tiles, table = [], []
    for relation, kind, related_id in title.relations:
        path, name, label = target(kind, related_id)
        if relation in ("Sequel", "Prequel", "Adaptation"):
            tiles.append(f"""<div class="entry borderClass ">
  <div class="image"><a href="{path}"><img width="50" class="lazyload" alt="{escape(name)}"></a></div>
  <div class="content">
    <div class="relation">
      {relation}
      ({label})
    </div>
    <div class="title">
      <a href="{path}">
        {escape(name)}
      </a>
    </div>
  </div>
</div>""")
        else:
            table.append((relation, f'<li class=""><a href="{path}">{escape(name)}</a> ({label})</li>'))
    rows = []
    for relation in dict.fromkeys(relation for relation, _ in table):
        items = "\n".join(item for r, item in table if r == relation)
        rows.append(
            f'<tr class=""><td valign="top" class="ar fw-n borderClass nowrap">\n{relation}:\n</td>'
            f'<td width="100%" class="borderClass"><ul class="entries">\n{items}\n</ul></td></tr>'
        )
    tile_block = f'<div class="entries-tile">{"".join(tiles)}</div>' if tiles else ""
    table_block = f'<table class="entries-table">{"".join(rows)}</table>' if rows else ""
    return (
        '<div><h2 id="related_entries">Related Entries</h2></div>\n'
        f'<div class="related-entries">\n{tile_block}\n{table_block}\n</div>'
    )


def anime_page(world: World, title: Title) -> str:
    """A detail page."""
    figures = world.figures[title.index]
    english = (
        f'<p class="title-english title-inherit">{escape(title.title_english)}</p>' if title.title_english else ""
    )
    studios = _links(title.studios, "producer", _STUDIO_IDS, hidden=False) or (
        'None found, <a href="/dbchanges.php?aid=0&amp;t=producers">add some</a>'
    )
    ranked = f"#{figures.ranked}" if figures.ranked else "N/A"
    genres = (
        _listed("Genre", "Genres", title.genres)
        + _listed("Theme", "Themes", title.themes)
        + _listed("Demographic", "Demographics", title.demographics)
    )
    content = f"""<div itemscope itemtype="http://schema.org/TVSeries"><div class="h1 edit-info">
<div class="h1-title"><div itemprop="name"><h1 class="title-name h1_bold_none"><strong>{escape(title.title)}</strong>\
</h1>{english}</div></div></div>
<div id="content"><table border="0" cellpadding="0" cellspacing="0" width="100%"><tr>
<td class="borderClass" width="225" style="border-width: 0 1px 0 0;" valign="top"><div class="leftside">
<input type="hidden" id="myinfo_anime_id" value="{title.anime_id}">
<h2>Alternative Titles</h2>{_alternatives(title)}<br>
<h2>Information</h2>
{_label("Type", f'<a href="/topanime.php?type={title.type.lower()}">{title.type}</a>')}\
{_label("Episodes", str(title.episodes) if title.episodes else "Unknown")}\
{_label("Status", title.status)}{_label("Aired", _aired(title))}{_premiered(title)}\
{_label("Producers", 'None found, <a href="/dbchanges.php">add some</a>')}\
{_label("Studios", studios)}{_label("Source", title.source)}{genres}\
{_label("Duration", _duration(title))}{_label("Rating", escape(title.age_rating or "None"))}
<br><h2>Statistics</h2>
{_score(figures)}  <div class="statistics-info info1"><small><sup>1</sup> indicates a weighted score.</small></div>
</div>
<div class="spaceit_pad po-r js-statistics-info di-ib" data-id="info2">
  <span class="dark_text">Ranked:</span>
  {ranked}<sup>2</sup>
  <div class="statistics-info info2"><small><sup>2</sup> based on the <a href="/topanime.php">top anime</a> page. \
Please note that 'Not yet aired' and 'R18+' titles are excluded.</small></div>
</div>
{_label("Popularity", f"#{figures.popularity}")}{_label("Members", f"  {figures.members:,}")}\
{_label("Favorites", f"{figures.favorites:,}")}
</div></td>
<td valign="top" style="padding-left: 5px;"><div class="rightside js-scrollfix-bottom-rel">
<div id="horiznav_nav"><ul><li><a href="{anime_path(title)}" class="horiznav_active">Details</a></li></ul></div>
<h2>Synopsis</h2><p itemprop="description">In a town between the hills and the sea, somebody finds what nobody had \
looked for. An invented story, told in {escape(title.type)} form.</p>
{_relations(world, title)}
</div></td></tr></table></div></div>"""
    head = f'<meta property="og:title" content="{escape(title.title)}">\n<meta property="og:url" content="{anime_path(title)}">\n'
    return page(title.title, content, head=head)


def _alternatives(title: Title) -> str:
    alternatives = _label("Synonyms", escape(", ".join(title.synonyms))) if title.synonyms else ""
    alternatives += _label("Japanese", escape(title.title_japanese))
    if title.title_english:
        alternatives += (
            f'<div class="js-alternative-titles hide">{_label("English", escape(title.title_english))}'
            f"{_label('German', escape(title.title_english) + ' (de)')}</div>"
        )
    return alternatives


def _premiered(title: Title) -> str:
    """Only series on television have the label; one whose season is not known has a question mark."""
    if title.type != "TV":
        return ""
    value = "?"
    if title.season:
        name, year = title.season.split()
        value = f'<a href="/anime/season/{year}/{name.lower()}">{title.season}</a>'
    return _label("Premiered", value)


def _score(figures: Figures) -> str:
    if figures.score is None:
        return (
            '<div class="spaceit_pad po-r js-statistics-info di-ib" data-id="info1">\n'
            '  <span class="dark_text">Score:</span>\n  <span class="score-label score-na">N/A</span><sup>1</sup>\n'
        )
    return (
        '<div itemprop="aggregateRating" itemscope itemtype="http://schema.org/AggregateRating" '
        'class="spaceit_pad po-r js-statistics-info di-ib" data-id="info1">\n'
        '  <span class="dark_text">Score:</span>\n'
        f'  <span itemprop="ratingValue" class="score-label score-{int(figures.score)}">{figures.score:.2f}</span>'
        f'<sup>1</sup> (scored by <span itemprop="ratingCount" style="display: none">{figures.scored_by}</span>'
        f"{figures.scored_by:,} users)\n"
        '    <meta itemprop="bestRating" content="10">\n    <meta itemprop="worstRating" content="1">\n'
    )


def top_page(world: World, offset: int, ranking: Sequence[int] | None = None) -> str | None:
    """A ranking page from row `offset` on; None past the end (the site answers 404 there).

    `ranking` holds the titles' indexes in another order than the world's.
    """
    shown = (world.ranking if ranking is None else ranking)[offset : offset + TOP_PAGE]
    if not shown:
        return None
    rows = []
    for place, index in enumerate(shown, offset + 1):
        title, figures = world.titles[index], world.figures[index]
        path, name = anime_path(title), escape(title.title)
        score, shade = (f"{figures.score:.2f}", int(figures.score)) if figures.score is not None else ("N/A", "na")
        rows.append(f"""<tr class="ranking-list">
  <td class="rank ac" valign="top">
    <span class="lightLink top-anime-rank-text rank{len(str(place))}">{place if figures.ranked else "-"}</span>
  </td>
  <td class="title al va-t word-break">
    <a class="hoverinfo_trigger fl-l ml12 mr8" href="{path}" id="#area{title.anime_id}" rel="#info{title.anime_id}">
      <img width="50" height="70" alt="Anime: {name}" class="lazyload" border="0"></a>
    <div class="detail"><div id="area{title.anime_id}"><div id="info{title.anime_id}" rel="a{title.anime_id}" \
class="hoverinfo"></div></div>
    <div class="di-ib clearfix"><h3 class="fl-l fs14 fw-b anime_ranking_h3"><a href="{path}" id="#area{title.anime_id}" \
rel="#info{title.anime_id}" class="hoverinfo_trigger">{name}</a></h3></div><br><div class="information di-ib mt4">
        {title.type} ({title.episodes or "?"} eps)<br>
        {_aired(title)}<br>
        {figures.members:,} members
      </div></div>
  </td>
  <td class="score ac fs14"><div class="js-top-ranking-score-col di-ib al"><i class="icon-score-star on"></i>\
<span class="text on score-label score-{shade}">{score}</span></div></td>
  <td class="your-score ac fs14"><div class="js-top-ranking-your-score-col di-ib al"><a href="/login.php">\
<span class="text  score-label score-na">N/A</span></a></div></td>
  <td class="status ac"><a href="/ownlist/anime/add?selected_series_id={title.anime_id}" class="btn-add">Add to My List</a></td>
</tr>""")
    content = (
        '<div><h1 class="h1">Top Anime</h1></div><div id="content">'
        '<div class="pb12"><h2 class="top-rank-header2">Top Anime Series</h2>'
        '<table border="0" cellpadding="0" cellspacing="0" width="100%" class="top-ranking-table">'
        '<tr class="table-header"><td class="rank">Rank</td><td class="title">Title</td><td class="score">Score</td>'
        '<td class="your-score">Your Score</td><td class="status">Status</td></tr>\n'
        + "\n".join(rows)
        + "</table></div></div>"
    )
    return page("Top Anime", content)


def users_page(found: Sequence[User], show: int, query: str) -> str:
    """The search results from row `show` on, 24 of them; past the end a page without users."""
    shown = found[show : show + USERS_PAGE]
    cells = [
        f"""<td align="center" class="borderClass">
<div style="margin-bottom: 7px;"><a href="/profile/{user.username}">{user.username}</a></div>
<div class="picSurround"><a href="/profile/{user.username}"><img border="0" class="lazyload"></a></div>
<div class="spaceit_pad lightLink"><small>{1 + user.index % 23} hours ago</small></div>
</td>"""
        for user in shown
    ]
    grid = "".join(f"<tr>{''.join(cells[k : k + 4])}</tr>" for k in range(0, len(cells), 4))
    table = f'<table border="0" cellpadding="10" cellspacing="0" width="100%">{grid}</table>' if cells else (
        '<div class="badresult">No users found</div>'
    )  # fmt: skip
    pages = " ".join(
        f'<a href="?{escape(query)}&amp;show={k}">{1 + k // USERS_PAGE}</a>' for k in range(0, len(found), USERS_PAGE)
    )
    content = f"""<div><h1 class="h1">Users</h1></div><div id="content">
<form method="get"><input type="text" name="q" value="" class="inputtext" size="30">
Location <input type="text" name="loc" value=""> Age &gt; <input type="text" name="agelow" value=""> and &lt; \
<input type="text" name="agehigh" value="">
<select name="g"><option value="">Don't care</option><option value="1">Male</option><option value="2">Female</option>\
</select><input type="submit" value="Find User" class="inputButton"></form>
<div class="normal_header"><div style="float: right;"><a href="users.php">Back to Users</a></div>User Search Results</div>
<div class="borderClass" style="margin-bottom: 5px;">Pages ({max(1, -(-len(found) // USERS_PAGE))}) {pages}</div>
{table}
</div>"""
    return page("Users", content)


@lru_cache(maxsize=4)
def _title_fields(world: World) -> tuple[str, ...]:
    """What a list row says of its title, as JSON fields without braces; one a title, the same for every list."""
    found = []
    for title, figures in zip(world.titles, world.figures, strict=True):
        name: object = int(title.title) if title.title.isdigit() else title.title
        found.append(
            {
                "anime_title": name,
                "anime_title_eng": title.title_english or "",
                "anime_num_episodes": title.episodes or 0,
                "anime_airing_status": {"Currently Airing": 1, "Finished Airing": 2}.get(title.status, 3),
                "anime_id": title.anime_id,
                "anime_studios": None,
                "anime_licensors": None,
                "anime_season": None,
                "anime_total_members": figures.members,
                "anime_total_scores": figures.scored_by or 0,
                "anime_score_val": figures.score or 0,
                "anime_popularity": figures.popularity,
                "genres": [{"id": _GENRE_IDS[g], "name": g} for g in title.genres],
                "demographics": [{"id": _GENRE_IDS[d], "name": d} for d in title.demographics],
                "title_localized": None,
                "anime_url": anime_path(title),
                "is_added_to_list": False,
                "anime_media_type_string": title.type,
                "start_date_string": None,
            }
        )
    return tuple(json.dumps(fields, separators=(",", ":")).replace("/", "\\/")[1:-1] for fields in found)


@lru_cache(maxsize=4)
def _escaped_title_fields(world: World) -> tuple[str, ...]:
    return tuple(map(escape, _title_fields(world)))


def list_rows(world: World, entries: Iterable[Entry]) -> str:
    """The JSON rows that `load.json` answers."""
    return _rows(_title_fields(world), entries, '"')


def _rows(title_fields: Sequence[str], entries: Iterable[Entry], quote_mark: str) -> str:
    """List rows as JSON; `quote_mark` is what stands for a quotation mark, in JSON itself or in an attribute."""
    before = (
        '{"status":%d,"score":%d,"tags":"","is_rewatching":0,"num_watched_episodes":%d,"created_at":%d,'
        '"updated_at":%d,'
    ).replace('"', quote_mark)
    after = ',"finish_date_string":%s,"priority_string":"Low","notes":""}'.replace('"', quote_mark)
    planned, other = after % "null", after % f"{quote_mark}01-00-17{quote_mark}"
    rows = [
        before % (e.status, e.score, e.episodes_watched, e.created_at, e.updated_at)
        + title_fields[e.index]
        + (planned if e.status == PLANNED else other)
        for e in entries
    ]
    return f"[{','.join(rows)}]"


def private_json() -> str:
    """What `load.json` says of a private list (status 400)."""
    return '{"errors":[{"message":"invalid request"}]}'


def private_list(username: str) -> str:
    """The page of a list that its owner does not share."""
    return page(
        f"{username}'s Anime List",
        '<div id="content"><div class="badresult">Access to this list has been restricted by the owner.</div></div>',
        body="ownlist",
    )


_TEMPLATE_ROW = (
    '<tr class="list-table-data" v-for="item in items"><td class="data status" :class="${ item.status }"></td>'
    '<td class="data title clearfix"><a class="link sort" :href="item.anime_url">${ item.anime_title }</a></td>'
    '<td class="data score"><span class="score-label">${ item.score }</span></td></tr>'
)


_LIST_SCRIPT = """<script>
"use strict";
(function () {
  const table = document.querySelector(".list-table"), body = table.querySelector(".list-item");
  const query = JSON.parse(table.dataset.query), address = location.pathname.replace(/\\/$/, "") + "/load.json";
  const names = {1: "watching", 2: "completed", 3: "onhold", 4: "dropped", 6: "plantowatch"};
  let shown = 0, loading = false, ended = false;
  function cell(row, name) {
    const made = row.appendChild(document.createElement("td"));
    made.className = "data " + name;
    return made;
  }
  function link(parent, text, href) {
    const made = parent.appendChild(document.createElement("a"));
    made.className = "link";
    made.textContent = text;
    made.href = href;
  }
  function add(items) {
    for (const item of items) {
      const row = body.appendChild(document.createElement("tr"));
      row.className = "list-table-data";
      cell(row, "status " + names[item.status]);
      link(cell(row, "title clearfix"), item.anime_title, item.anime_url);
      const label = cell(row, "score").appendChild(document.createElement("span"));
      label.className = "score-label";
      label.textContent = item.score || "-";
      link(cell(row, "progress"), item.num_watched_episodes || "-", "#");
    }
    shown += items.length;
  }
  async function more() {
    if (loading || ended || scrollY + innerHeight < document.documentElement.scrollHeight - 400) return;
    loading = true;
    const answer = await fetch(address + "?offset=" + shown + "&status=" + query.status);
    const items = answer.ok ? await answer.json() : [];
    ended = items.length === 0;
    add(items);
    loading = false;
  }
  body.replaceChildren();
  if (table.dataset.items) add(JSON.parse(table.dataset.items));
  else ended = false;
  if (shown && shown < 300) ended = true;
  addEventListener("scroll", more);
  if (!shown) more();
})();
</script>"""
"""Fills the list as the site's own script does: the rows at hand, and the rest as the reader scrolls towards it."""


def modern_list(world: World, user: User, entries: Sequence[Entry], status: int, *, rows_in_page: bool = True) -> str:
    """A modern list page showing `entries` (all statuses where `status` is 7): the first 300 as JSON, no rendered row.

    Its script renders them and loads the others; without `rows_in_page` it loads all.
    """
    tab, heading = ("all_anime", "ALL ANIME") if status == 7 else (
        _STATUS_NAMES[status][0], _STATUS_NAMES[status][2].upper())  # fmt: skip
    items = _rows(_escaped_title_fields(world), entries[:LIST_PAGE], "&quot;")
    tabs = "".join(
        f'<a href="/animelist/{user.username}?status={k}" class="status-button {name} {"on" if k == status else ""}">'
        f"{label}</a>"
        for k, (name, _, label) in _STATUS_NAMES.items()
    )
    content = f"""<div id="list-container"><div class="header-title">{user.username}'s Anime List</div>
<div id="status-menu" class="status-menu-container"><div class="status-menu">\
<a href="/animelist/{user.username}?status=7" class="status-button all_anime {"on" if status == 7 else ""}">All Anime</a>\
{tabs}</div></div>
<div class="list-block"><div class="list-unit {tab}">
<div class="list-status-title"><span class="text">{heading}</span></div>
<table class="list-table" {f'data-items="{items}" ' if rows_in_page else ""}data-query="{escape(json.dumps({"status": status}))}">
<tbody><tr class="list-table-header"><th class="header-title status"></th></tr></tbody>
<tbody class="list-item">{_TEMPLATE_ROW}</tbody>
</table></div></div></div>
{_LIST_SCRIPT}"""
    return page(f"{user.username}'s Anime List", content, body="ownlist anime")


def classic_list(world: World, user: User) -> str:
    """A classic list page with all statuses; it is never cut."""
    blocks = []
    for status, (_, short, label) in _STATUS_NAMES.items():
        entries = [entry for entry in user.entries if entry.status == status]
        if not entries:
            continue
        rows = []
        for number, entry in enumerate(entries, 1):
            title = world.titles[entry.index]
            path, cell = anime_path(title), f"td{1 + number % 2}"
            total = title.episodes or "-"
            rows.append(f"""<table border="0" cellpadding="0" cellspacing="0" width="100%"><tr>
<td class="{cell}" width="30" align="center">{number}</td>
<td class="{cell}"><a href="{path}" target="_blank" class="animetitle"><span>{escape(title.title)}</span></a>
<small></small><div id="more{title.anime_id}" class="more-content" style="display: none;"></div></td>
<td class="{cell}" align="center" width="45"><span class="score-label">{entry.score or "-"}</span></td>
<td class="{cell}" align="center" width="50">{title.type}</td>
<td class="{cell}" align="center" width="70"><span id="output{title.anime_id}">{entry.episodes_watched or "-"}</span>\
/{total}</td>
</tr></table>""")
        blocks.append(
            f'<table class="header_{short}" border="0" cellpadding="0" cellspacing="0" width="100%"><tr>'
            f'<td><div class="header_title"><span>{label}</span></div></td></tr></table>\n'
            '<table border="0" cellpadding="0" cellspacing="0" width="100%"><tr>'
            '<td class="table_header" width="30" align="center"><strong>#</strong></td>'
            '<td class="table_header" align="left"><strong><a href="?status=7&amp;order=1" class="table_headerLink">'
            "Anime Title</a></strong></td>"
            '<td class="table_header" align="center" width="45"><strong>Score</strong></td>'
            '<td class="table_header" align="center" width="50"><strong>Type</strong></td>'
            '<td class="table_header" align="center" width="70"><strong>Progress</strong></td></tr></table>\n'
            + "\n".join(rows)
            + f'<table border="0" cellpadding="0" cellspacing="0" width="100%"><tr><td class="category_totals">Total: '
            f"{len(entries)}</td></tr></table><br>"
        )
    links = "".join(
        f'<td class="status_not_selected" align="center"><a href="/animelist/{user.username}?status={k}&amp;tag=" '
        f'title="{sum(entry.status == k for entry in user.entries)} Entries">\n{label}\n</a></td>'
        for k, (_, _, label) in _STATUS_NAMES.items()
    )
    content = f"""<div id="list_surround">
<table border="0" cellpadding="0" cellspacing="0" width="100%" align="center"><tr>{links}
<td class="status_selected" align="center"><a href="/animelist/{user.username}?status=7&amp;tag=" \
title="Show All Entries">
All Anime
</a></td></tr></table><br>
{"".join(blocks)}
<div id="grand_totals">Grand total: {len(user.entries)}</div><div id="copyright"></div></div>"""
    return page(f"{user.username}'s Anime List", content, body="ownlist")


def manga_page(world: World, manga_id: int) -> str | None:
    """A page for the manga that adaptations point to."""
    franchise = manga_id - FIRST_MANGA_ID
    title = next((t for t in world.titles if ("Adaptation", "manga", manga_id) in t.relations), None)
    if title is None or franchise < 0:
        return None
    content = (
        '<div itemscope itemtype="http://schema.org/Product"><div class="h1 edit-info">'
        f'<span class="h1-title"><span itemprop="name">{escape(title.title)}</span></span></div>'
        f'<div id="content">{_label("Type", "<a href=/topmanga.php?type=manga>Manga</a>")}'
        f"{_label('Volumes', '7')}{_label('Chapters', '41')}</div></div>"
    )
    return page(f"{title.title} | Manga", content)
