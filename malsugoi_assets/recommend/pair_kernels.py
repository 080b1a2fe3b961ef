"""The compiled code about pairs of titles: laying out lists, counting, similarities, and heaps of the strongest.

What belongs here: loops over arrays. What their numbers mean is said where they are called (`pairs`, `strongest`,
`pair_sums`). All of it stands in one file, since compiled code is kept on disk by the file of the function that is
called: a change in another file would not be noticed.
"""

import numpy as np

from malsugoi_assets.recommend.compiled import compiled

# Ratings count from 0 (0-9) in a word: 13 bits for n, 16 for Σ r_i, 16 for Σ r_j, 19 for Σ r_i · r_j hold so many.
MOST_RATERS = 6_472


@compiled
def lists_by_place(user, place, rating, n_users, n_items):  # type: ignore[no-untyped-def]
    """Entries (place · 16 + rating - 1) by user and place, and where each user's begin; two counting sorts."""
    n = len(user)
    first = np.zeros(n_items + 1, np.int64)
    starts = np.zeros(n_users + 1, np.int64)
    for k in range(n):
        first[place[k] + 1] += 1
        starts[user[k] + 1] += 1
    for i in range(n_items):
        first[i + 1] += first[i]
    for u in range(n_users):
        starts[u + 1] += starts[u]
    by_place = np.empty(n, np.uint32)
    for k in range(n):
        by_place[first[place[k]]] = k
        first[place[k]] += 1
    entries = np.empty(n, np.uint32)
    free = starts[:-1].copy()
    for position in range(n):
        k = by_place[position]
        entries[free[user[k]]] = np.uint32(place[k] * 16) + np.uint32(rating[k] - 1)
        free[user[k]] += 1
    return entries, starts


@compiled
def raters_by_place(entries, starts, n_items):  # type: ignore[no-untyped-def]
    """Of each place: where its entries stand, where their users' lists begin, and its sums (count, Σ r, Σ r²).

    `first` is empty where a list holds a title twice, or not in order.
    """
    first = np.zeros(n_items + 1, np.int64)
    sums = np.zeros((3, n_items), np.int64)
    for entry in entries:
        place, rating = np.int64(entry >> np.uint32(4)), np.int64(entry & np.uint32(15))
        sums[0, place] += 1
        sums[1, place] += rating
        sums[2, place] += rating * rating
    for i in range(n_items):
        first[i + 1] = first[i] + sums[0, i]
    of_title = np.empty(len(entries), np.uint32)
    begins = np.empty(len(entries), np.uint32)
    free = first[:-1].copy()
    for u in range(len(starts) - 1):
        before = np.int64(-1)
        for e in range(starts[u], starts[u + 1]):
            place = np.int64(entries[e] >> np.uint32(4))
            if place <= before:
                return of_title, begins, first[:0], sums
            before = place
            of_title[free[place]] = e
            begins[free[place]] = starts[u]
            free[place] += 1
    return of_title, begins, first, sums


@compiled
def count_words(first, last, entries, of_title, begins, words, times):  # type: ignore[no-untyped-def]
    """Add the sums of a title with every title before it, over its raters first … last, `times` over, to its words.

    `times`: uint64, 1, or 2⁶⁴ - 1 to take away. The caller sees to it that no word runs over: that no more than
    `MOST_RATERS` are ever counted in one.
    """
    for position in range(first, last):
        e = of_title[position]
        mine = np.uint64(entries[e] & np.uint32(15))
        always = times * (np.uint64(1) + (mine << np.uint64(13)))
        factor = times * ((np.uint64(1) << np.uint64(29)) + (mine << np.uint64(45)))
        for k in range(begins[position], e):
            entry = entries[k]
            words[entry >> np.uint32(4)] += always + factor * np.uint64(entry & np.uint32(15))


@compiled
def count_sums(i, first, last, entries, of_title, begins, words, sums, sign):  # type: ignore[no-untyped-def]
    """As `count_words`, for any number of raters, to int32 (4, n): n, Σ r_i, Σ r_j, Σ r_i · r_j. Empties `words`."""
    for chunk in range(first, last, MOST_RATERS):
        count_words(chunk, min(chunk + MOST_RATERS, last), entries, of_title, begins, words, np.uint64(1))
        for j in range(i):
            word = words[j]
            sums[0, j] += sign * np.int32(word & np.uint64(0x1FFF))
            sums[1, j] += sign * np.int32((word >> np.uint64(13)) & np.uint64(0xFFFF))
            sums[2, j] += sign * np.int32((word >> np.uint64(29)) & np.uint64(0xFFFF))
            sums[3, j] += sign * np.int32(word >> np.uint64(45))
            words[j] = 0


@compiled
def similarities_of_words(i, words, mean, scale, shrinkage, min_support, found, support):  # type: ignore[no-untyped-def]
    """Similarity (`found`, -1 below `min_support`) and common raters of title i and each before it, from its words.

    The order of the operations is the same whichever of the two comes first, so that both see the same number.
    """
    for j in range(i):
        word = words[j]
        support[j] = np.int32(word & np.uint64(0x1FFF))
        common = np.float64(support[j])
        a = np.float64(np.int32((word >> np.uint64(13)) & np.uint64(0xFFFF)))
        b = np.float64(np.int32((word >> np.uint64(29)) & np.uint64(0xFFFF)))
        s = np.float64(np.int32(word >> np.uint64(45)))
        dot = (s - (mean[j] * a + mean[i] * b)) + common * (mean[i] * mean[j])
        exact = dot * (scale[i] * scale[j]) * (common / (common + shrinkage))
        found[j] = exact if support[j] >= min_support else -1.0


@compiled
def similarities_of_sums(i, sums, mean, scale, shrinkage, min_support, found, support):  # type: ignore[no-untyped-def]
    """As `similarities_of_words`, from a row of four sums a pair."""
    for j in range(i):
        support[j] = sums[0, j]
        common, a, b, s = (
            np.float64(support[j]),
            np.float64(sums[1, j]),
            np.float64(sums[2, j]),
            np.float64(sums[3, j]),
        )
        dot = (s - (mean[j] * a + mean[i] * b)) + common * (mean[i] * mean[j])
        exact = dot * (scale[i] * scale[j]) * (common / (common + shrinkage))
        found[j] = exact if support[j] >= min_support else -1.0


@compiled
def _is_worse(strength, partner, than_strength, than_partner):  # type: ignore[no-untyped-def]
    return strength < than_strength or (strength == than_strength and partner > than_partner)


@compiled
def _put(item, place, strength, partner, support, partners, strengths, supports):  # type: ignore[no-untyped-def]
    strengths[item, place], partners[item, place], supports[item, place] = strength, partner, support


@compiled
def _move(item, place, source, partners, strengths, supports):  # type: ignore[no-untyped-def]
    strengths[item, place] = strengths[item, source]
    partners[item, place] = partners[item, source]
    supports[item, place] = supports[item, source]


@compiled
def _sift_down(item, held, partner, strength, support, partners, strengths, supports):  # type: ignore[no-untyped-def]
    """Put a partner in the place of the worst, of `held` on the item's heap, and let it sink."""
    place = 0
    while True:
        child = 2 * place + 1
        if child >= held:
            break
        if child + 1 < held and _is_worse(
            strengths[item, child + 1], partners[item, child + 1], strengths[item, child], partners[item, child]
        ):
            child += 1
        if not _is_worse(strengths[item, child], partners[item, child], strength, partner):
            break
        _move(item, place, child, partners, strengths, supports)
        place = child
    _put(item, place, strength, partner, support, partners, strengths, supports)


@compiled
def _offer(item, partner, strength, support, size, partners, strengths, supports):  # type: ignore[no-untyped-def]
    """Put a partner on the item's heap (the worst on top) if it is among the strongest so far."""
    held, most = size[item], partners.shape[1]
    if held == most:
        if _is_worse(strengths[item, 0], partners[item, 0], strength, partner):
            _sift_down(item, held, partner, strength, support, partners, strengths, supports)
        return
    place = held
    size[item] = held + 1
    while place > 0:
        parent = (place - 1) // 2
        if not _is_worse(strength, partner, strengths[item, parent], partners[item, parent]):
            break
        _move(item, place, parent, partners, strengths, supports)
        place = parent
    _put(item, place, strength, partner, support, partners, strengths, supports)


@compiled
def _floor(item, size, strengths):  # type: ignore[no-untyped-def]
    """A little below the worst of a full heap: by more than rounding changes a similarity, so that ties are seen."""
    return strengths[item, 0] - 1e-6 if size[item] == strengths.shape[1] else 0.0


@compiled
def offer_row(i, found, support, order, floor, size, partners, strengths, supports):  # type: ignore[no-untyped-def]
    """Offer title i and each before it to each other; `floor`: by place, what has no chance to get onto the heap."""
    own = floor[i]
    for j in range(i):
        if found[j] > own or found[j] > floor[j]:
            # Rounded, so that ties are ties whatever the summation left behind.
            strength = np.float32(min(np.rint(found[j] * 1e9) / 1e9, 1.0))
            if strength > 0:
                one, other = order[i], order[j]
                _offer(one, other, strength, support[j], size, partners, strengths, supports)
                _offer(other, one, strength, support[j], size, partners, strengths, supports)
                floor[i] = own = _floor(one, size, strengths)
                floor[j] = _floor(other, size, strengths)


@compiled
def merge_heaps(sizes, partners, strengths, supports):  # type: ignore[no-untyped-def]
    """The threads' heaps as one table, the best first."""
    threads, n_items, _ = partners.shape
    for item in range(n_items):
        for t in range(1, threads):
            for k in range(sizes[t, item]):
                _offer(
                    item, partners[t, item, k], strengths[t, item, k], supports[t, item, k],
                    sizes[0], partners[0], strengths[0], supports[0],
                )  # fmt: skip
        # The worst on top goes behind those that are left, again and again: the best come to stand first.
        for last in range(sizes[0, item] - 1, 0, -1):
            strength, partner, support = strengths[0, item, last], partners[0, item, last], supports[0, item, last]
            _move(item, last, 0, partners[0], strengths[0], supports[0])
            _sift_down(item, last, partner, strength, support, partners[0], strengths[0], supports[0])


@compiled
def strongest_of_rows(  # type: ignore[no-untyped-def]
    rows, order, entries, of_title, begins, first, mean, scale, shrinkage, min_support, size, partners, strengths,
    supports,
):  # fmt: skip
    """The strongest partners among the pairs of the given places with all earlier ones, into heaps."""
    n_items = len(order)
    words = np.zeros(n_items, np.uint64)
    sums = np.zeros((4, n_items), np.int32)
    found, floor = np.empty(n_items), np.zeros(n_items)
    support = np.empty(n_items, np.int32)
    for i in rows:
        if first[i + 1] - first[i] <= MOST_RATERS:
            count_words(first[i], first[i + 1], entries, of_title, begins, words, np.uint64(1))
            similarities_of_words(i, words, mean, scale, shrinkage, min_support, found, support)
            words[:i] = 0
        else:
            count_sums(i, first[i], first[i + 1], entries, of_title, begins, words, sums, 1)
            similarities_of_sums(i, sums, mean, scale, shrinkage, min_support, found, support)
            sums[:, :i] = 0
        offer_row(i, found, support, order, floor, size, partners, strengths, supports)


@compiled
def add_rows(rows, entries, of_title, begins, first, start, is_wide, words, wide, sign):  # type: ignore[no-untyped-def]
    """Count the given places' rows into the kept sums, or take them away (`sign` = -1); see `pair_sums`."""
    times = np.uint64(1) if sign > 0 else np.uint64(0xFFFFFFFFFFFFFFFF)
    scratch = np.zeros(len(start), np.uint64)
    for i in rows:
        if first[i] == first[i + 1]:
            continue
        row = slice(start[i], start[i] + i)
        if is_wide[i]:
            count_sums(i, first[i], first[i + 1], entries, of_title, begins, scratch, wide[:, row], sign)
        else:
            count_words(first[i], first[i + 1], entries, of_title, begins, words[row], times)


@compiled
def strongest_of_sums(  # type: ignore[no-untyped-def]
    rows, order, start, is_wide, words, wide, mean, scale, shrinkage, min_support, size, partners, strengths, supports
):
    """As `strongest_of_rows`, from kept sums."""
    n_items = len(start)
    found, floor = np.empty(n_items), np.zeros(n_items)
    support = np.empty(n_items, np.int32)
    for i in rows:
        row = slice(start[i], start[i] + i)
        if is_wide[i]:
            similarities_of_sums(i, wide[:, row], mean, scale, shrinkage, min_support, found, support)
        else:
            similarities_of_words(i, words[row], mean, scale, shrinkage, min_support, found, support)
        offer_row(i, found, support, order, floor, size, partners, strengths, supports)


@compiled
def widen(words, sums):  # type: ignore[no-untyped-def]
    """A row of words as int32 (4, n) sums."""
    for j in range(len(words)):
        word = words[j]
        sums[0, j] = np.int32(word & np.uint64(0x1FFF))
        sums[1, j] = np.int32((word >> np.uint64(13)) & np.uint64(0xFFFF))
        sums[2, j] = np.int32((word >> np.uint64(29)) & np.uint64(0xFFFF))
        sums[3, j] = np.int32(word >> np.uint64(45))
