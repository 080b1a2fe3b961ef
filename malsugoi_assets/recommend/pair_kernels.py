"""The compiled code about pairs of titles: laying out lists, counting, similarities, and the strongest partners.

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
def _keep_best(most, notes):  # type: ignore[no-untyped-def]
    """Bring the `most` notes with the highest keys to the front, in any order (quickselect, Hoare 1961)."""
    low, high = 0, len(notes) - 1
    while low < high:
        pivot = notes[(low + high) // 2, 0]
        i, j = low, high
        while i <= j:
            while notes[i, 0] > pivot:
                i += 1
            while notes[j, 0] < pivot:
                j -= 1
            if i <= j:
                key, support = notes[i, 0], notes[i, 1]
                notes[i, 0], notes[i, 1] = notes[j, 0], notes[j, 1]
                notes[j, 0], notes[j, 1] = key, support
                i += 1
                j -= 1
        if most - 1 <= j:
            high = j
        elif most - 1 >= i:
            low = i
        else:
            break


@compiled
def _key(strength, partner):  # type: ignore[no-untyped-def]
    """A number that is higher for the stronger, of equals for the lower partner: positive floats sort as their bits."""
    return (np.uint64(np.float32(strength).view(np.uint32)) << np.uint64(32)) | np.uint64(0xFFFFFFFF - partner)


@compiled
def _strength(key):  # type: ignore[no-untyped-def]
    return np.uint32(key >> np.uint64(32)).view(np.float32)


@compiled
def _note(item, key, support, size, notes):  # type: ignore[no-untyped-def]
    """Note a partner; full notes keep their better half, and the new floor is returned (0: as it was).

    The floor is a little below the worst that is kept: by more than rounding changes a similarity, so that ties are
    seen.
    """
    held = size[item]
    notes[item, held, 0], notes[item, held, 1] = key, np.uint64(support)
    held += 1
    size[item] = held
    if held < notes.shape[1]:
        return 0.0
    most = held // 2
    _keep_best(most, notes[item])
    size[item] = most
    worst = notes[item, 0, 0]
    for k in range(1, most):
        worst = min(worst, notes[item, k, 0])
    return _strength(worst) - 1e-6


@compiled
def offer_row(i, found, support, order, floor, size, notes):  # type: ignore[no-untyped-def]
    """Offer title i and each before it to each other; `floor`: by place, what is not among the strongest for sure."""
    for j in range(i):
        if found[j] > floor[i] or found[j] > floor[j]:
            # Rounded, so that ties are ties whatever the summation left behind.
            strength = np.float32(min(np.rint(found[j] * 1e9) / 1e9, 1.0))
            if strength > 0:
                if found[j] > floor[i]:
                    raised = _note(order[i], _key(strength, order[j]), support[j], size, notes)
                    floor[i] = max(floor[i], raised)
                if found[j] > floor[j]:
                    raised = _note(order[j], _key(strength, order[i]), support[j], size, notes)
                    floor[j] = max(floor[j], raised)


@compiled
def best_of_threads(items, sizes, notes, size, partner, strength, support):  # type: ignore[no-untyped-def]
    """Of the given titles what the threads noted, as (n_items, most) arrays, the best first."""
    most = partner.shape[1]
    for item in items:
        held = sizes[:, item].sum()
        mine = np.empty((held, 2), np.uint64)
        at = 0
        for t in range(len(sizes)):
            mine[at : at + sizes[t, item]] = notes[t, item, : sizes[t, item]]
            at += sizes[t, item]
        if held > most:
            _keep_best(most, mine)
        kept = min(held, most)
        order = np.argsort(mine[:kept, 0])
        size[item] = kept
        for place in range(kept):
            key, common = mine[order[kept - 1 - place]]
            partner[item, place] = 0xFFFFFFFF - np.int64(key & np.uint64(0xFFFFFFFF))
            strength[item, place] = _strength(key)
            support[item, place] = common


@compiled
def strongest_of_rows(  # type: ignore[no-untyped-def]
    rows, order, entries, of_title, begins, first, mean, scale, shrinkage, min_support, size, notes
):
    """The strongest partners among the pairs of the given places with all earlier ones, into notes a title."""
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
        offer_row(i, found, support, order, floor, size, notes)


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
def widen(words, sums):  # type: ignore[no-untyped-def]
    """A row of words as int32 (4, n) sums."""
    for j in range(len(words)):
        word = words[j]
        sums[0, j] = np.int32(word & np.uint64(0x1FFF))
        sums[1, j] = np.int32((word >> np.uint64(13)) & np.uint64(0xFFFF))
        sums[2, j] = np.int32((word >> np.uint64(29)) & np.uint64(0xFFFF))
        sums[3, j] = np.int32(word >> np.uint64(45))


@compiled
def strongest_of_sums(  # type: ignore[no-untyped-def]
    rows, order, start, is_wide, words, wide, entries, of_title, begins, first, raters, mean, scale, shrinkage,
    min_support, size, notes,
):  # fmt: skip
    """As `strongest_of_rows`, from kept sums and from lists that count as well: what is kept is read, never written.

    `raters`: how many each title has, with those of the lists.
    """
    n_items = len(start)
    found, floor = np.empty(n_items), np.zeros(n_items)
    support = np.empty(n_items, np.int32)
    some_words, some_sums = np.empty(n_items, np.uint64), np.empty((4, n_items), np.int32)
    emptied = np.zeros(n_items, np.uint64)
    for i in rows:
        row = slice(start[i], start[i] + i)
        more = first[i + 1] - first[i]
        if more == 0 and is_wide[i]:
            similarities_of_sums(i, wide[:, row], mean, scale, shrinkage, min_support, found, support)
        elif more == 0:
            similarities_of_words(i, words[row], mean, scale, shrinkage, min_support, found, support)
        elif not is_wide[i] and raters[i] <= MOST_RATERS:
            some_words[:i] = words[row]
            count_words(first[i], first[i + 1], entries, of_title, begins, some_words, np.uint64(1))
            similarities_of_words(i, some_words, mean, scale, shrinkage, min_support, found, support)
        else:
            if is_wide[i]:
                some_sums[:, :i] = wide[:, row]
            else:
                widen(words[row], some_sums)
            count_sums(i, first[i], first[i + 1], entries, of_title, begins, emptied, some_sums, 1)
            similarities_of_sums(i, some_sums, mean, scale, shrinkage, min_support, found, support)
        offer_row(i, found, support, order, floor, size, notes)
