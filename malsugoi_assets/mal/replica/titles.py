"""Invented words: titles, people, studios and usernames of the replica's world. Nothing here names a real work."""

from __future__ import annotations

import numpy as np

GENRES = (
    "Action", "Adventure", "Comedy", "Drama", "Fantasy", "Horror", "Mystery", "Romance", "Sci-Fi",
    "Slice of Life", "Sports", "Supernatural", "Suspense", "Gourmet", "Award Winning",
)  # fmt: skip
THEMES = (
    "School", "Mecha", "Music", "Military", "Historical", "Iyashikei", "Isekai", "Time Travel", "Space",
    "Workplace", "Detective", "Idols (Female)", "Martial Arts", "Mythology", "Psychological",
)  # fmt: skip
DEMOGRAPHICS = ("Shounen", "Seinen", "Shoujo", "Josei", "Kids")
STUDIOS = (
    "Studio Kawara", "Hinode Works", "North Lamp", "Pictures & Sons", "Mizuiro", "Cel Eleven", "Tanuki Line",
    "Paper Moon Animation", "Sora-Works", "Akane Film", "Ishi no Ue", "Blue Kettle", "Nijuu", "Oak, Ash & Thorn",
)  # fmt: skip
SOURCES = (
    "Original", "Manga", "Light novel", "Visual novel", "Game", "Novel", "Web manga", "4-koma manga", "Other",
)  # fmt: skip
AGE_RATINGS = (
    "G - All Ages", "PG - Children", "PG-13 - Teens 13 or older", "R - 17+ (violence & profanity)",
    "R+ - Mild Nudity",
)  # fmt: skip

# Titles with everything that has broken a parser somewhere: each is the first of a franchise of its own.
AWKWARD = (
    ("∀ Hoshizora", "Turn-A Starlit Sky", "∀ ほしぞら"),
    ("Kumo & Kaze", "Cloud & Wind", "くも＆かぜ"),
    ('"Yoake" no Uta, Dai-ni Bu', 'Song of "Daybreak", Part Two', "『よあけ』のうた、だいにぶ"),
    ("Tsuki☆Mado!", "Moon☆Window!", "つき☆まど！"),
    ("Rin no Daidokoro: Hi, Shio, Kome", "Rin's Kitchen: Fire, Salt, and Rice", "りんのだいどころ"),
    ("2077", None, "にせんななじゅうなな"),
    ("100% Umi", "100% Sea", "１００％うみ"),
    ("<Signal> Oto", "<Signal> Sound", "〈シグナル〉おと"),
    ("Kot i Luna", "The Cat and the Moon", "Кот и луна"),
    ("Été à Minato", "Summer in Minato", "エテ・ア・ミナト"),
    ("Mahou; Kagami", "Spell; Mirror", "まほう；かがみ"),
    ("Yuki/Hana/Tori", "Snow/Flower/Bird", "ゆき/はな/とり"),
    ("Ane no 'Himitsu'", "Big Sister's 'Secret'", "あねの「ひみつ」"),
    ("K.O.Neko.", None, "ケー・オー・ネコ"),
    ("Aa! Natsu... Mata Natsu?", "Oh! Summer... Summer Again?", "ああ！なつ…またなつ？"),
    ("Ame", "Rain", "雨"),
)

_FIRST = (
    "Kaze", "Umi", "Hoshi", "Yama", "Kawa", "Mori", "Sora", "Tsuki", "Hana", "Yuki", "Natsu", "Fuyu", "Aki", "Haru",
    "Kage", "Hikari", "Koe", "Yume", "Inu", "Neko", "Tori", "Sakana", "Machi", "Michi", "Hashi", "Tera", "Minato",
    "Kagami", "Tokei", "Tegami", "Garasu", "Ishi", "Tetsu", "Kin", "Gin", "Aka", "Ao", "Kuro", "Shiro", "Midori",
)  # fmt: skip
_FIRST_EN = (
    "Wind", "Sea", "Star", "Mountain", "River", "Forest", "Sky", "Moon", "Flower", "Snow", "Summer", "Winter",
    "Autumn", "Spring", "Shadow", "Light", "Voice", "Dream", "Dog", "Cat", "Bird", "Fish", "Town", "Road", "Bridge",
    "Temple", "Harbour", "Mirror", "Clock", "Letter", "Glass", "Stone", "Iron", "Gold", "Silver", "Red", "Blue",
    "Black", "White", "Green",
)  # fmt: skip
_FIRST_JA = (
    "風", "海", "星", "山", "川", "森", "空", "月", "花", "雪", "夏", "冬", "秋", "春", "影", "光", "声", "夢",
    "犬", "猫", "鳥", "魚", "町", "道", "橋", "寺", "港", "鏡", "時計", "手紙", "硝子", "石", "鉄", "金", "銀",
    "赤", "青", "黒", "白", "緑",
)  # fmt: skip
_SECOND = (
    ("no Uta", "Song", "の歌"),
    ("no Kishi", "Knight", "の騎士"),
    ("no Gakkou", "Academy", "の学校"),
    ("no Shima", "Island", "の島"),
    ("Tantei", "Detective", "探偵"),
    ("Monogatari", "Story", "物語"),
    ("no Tabi", "Journey", "の旅"),
    ("Kikou", "Machine", "機構"),
    ("no Ie", "House", "の家"),
    ("Ryouriten", "Restaurant", "料理店"),
    ("no Kioku", "Memory", "の記憶"),
    ("Senki", "War Chronicle", "戦記"),
    ("Club", "Club", "クラブ"),
    ("to Watashi", "and I", "と私"),
    ("no Owari", "Ending", "の終わり"),
    ("Nikki", "Diary", "日記"),
    ("Densetsu", "Legend", "伝説"),
    ("no Madoushi", "Mage", "の魔導士"),
)
_NAME_FIRST = (
    "quiet", "amber", "lazy", "rapid", "mossy", "paper", "lunar", "salty", "velvet", "tiny", "grand", "misty",
    "copper", "idle", "brave", "sunny", "frost", "hollow", "merry", "odd",
)  # fmt: skip
_NAME_SECOND = (
    "fox", "lantern", "otter", "kettle", "crow", "comet", "willow", "badger", "harbor", "pixel", "noodle", "turnip",
    "sparrow", "anchor", "pepper", "marble", "thistle", "walnut", "puddle", "ember",
)  # fmt: skip


def franchise_titles(n: int, rng: np.random.Generator) -> list[tuple[str, str | None, str]]:
    """`n` distinct (title, English title or None, Japanese title); the awkward ones come first, spread by the caller."""
    titles: list[tuple[str, str | None, str]] = list(AWKWARD[:n])
    known = {title.casefold() for title, _, _ in titles}
    pairs = [(a, b) for a in range(len(_FIRST)) for b in range(len(_SECOND))]
    order = rng.permutation(len(pairs))
    round_ = 0
    while len(titles) < n:
        for index in order:
            if len(titles) == n:
                break
            a, b = pairs[index]
            romaji, english, japanese = _SECOND[b]
            number = f" {round_ + 1}-gou" if round_ else ""
            title = f"{_FIRST[a]} {romaji}{number}"
            if title.casefold() in known:
                continue
            known.add(title.casefold())
            has_english = rng.random() < 0.75
            titles.append(
                (
                    title,
                    f"{_FIRST_EN[a]} {english}{f' No. {round_ + 1}' if round_ else ''}" if has_english else None,
                    f"{_FIRST_JA[a]}{japanese}{f'{round_ + 1}号' if round_ else ''}",
                )
            )
        round_ += 1
    return titles


def username(index: int, seed: int) -> str:
    """The name of user `index`: letters, digits, `_` and `-`, at most 16 characters, distinct whatever the case."""
    rng = np.random.default_rng([seed, 4, index])
    first, second = rng.integers(len(_NAME_FIRST)), rng.integers(len(_NAME_SECOND))
    joint = ("", "_", "-")[rng.integers(3)]
    name = f"{_NAME_FIRST[first]}{joint}{_NAME_SECOND[second]}"
    if rng.random() < 0.4:
        name = name.title()
    tail = str(index)
    return f"{name[: 16 - len(tail)]}{tail}"
