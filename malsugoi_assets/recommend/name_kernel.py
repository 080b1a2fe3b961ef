"""How alike the names of titles are: cosine of tf-idf over character n-grams, counted and multiplied in compiled code."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

SIZES = (3, 4, 5)
_ROWS_A_PIECE = 256
Integers = npt.NDArray[np.int64]


def words(name: str) -> list[str]:
    """The words of a name in lower case, compatibility forms folded, punctuation dropped."""
    return re.findall(r"\w+", unicodedata.normalize("NFKC", name).lower())


def title_kernel(names: list[list[str]], *, common: int = 300, faintest: float = 0.12) -> sp.csr_matrix:
    """Cosine of tf-idf over the character 3- to 5-grams of all names of a title, CSR float32 (n, n), 1 on the diagonal.

    tf = 1 + ln(count), idf = ln(n / df); grams that more than `common` titles share are left out, which keeps
    the product sparse, and so are cosines below `faintest`.
    """
    size = len(names)
    starts, column, count = gram_counts(names)
    if not len(column):
        return sp.identity(size, dtype=np.float32, format="csr")
    frequency = np.bincount(column)
    weight = (1 + np.log(count)) * np.log((size + 1) / frequency[column])
    weight[frequency[column] > common] = 0
    matrix = sp.csr_matrix((weight.astype(np.float32), column, starts), shape=(size, len(frequency)))
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix = sp.diags_array(1 / np.where(length > 0, length, 1)).astype(np.float32) @ matrix
    matrix.eliminate_zeros()
    return with_diagonal(_cosines(sp.csr_matrix(matrix), faintest))


def gram_counts(names: list[list[str]]) -> tuple[Integers, Integers, Integers]:
    """How often each title's names have each gram: (starts, gram, count), CSR with a row a title.

    Grams are numbered as they first occur: title by title, name by name, the short ones of a name before the long.
    """
    from malsugoi_assets.recommend.name_kernels import (
        count_by_row,
        number_by_hash,
        number_by_occurrence,
        spread_grams,
    )

    texts = [f" {' '.join(words(name))} " for known in names for name in known]
    row = np.repeat(np.arange(len(names)), [len(known) for known in names])
    letters = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    letter, kinds = number_by_hash(letters.astype(np.int64))
    ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
    # The same number for the same letters, ever one more of them: (what stands before, the last letter).
    prefix, ids, known_before = letter, [], 0
    for size in range(2, max(SIZES) + 1):
        prefix = prefix[:-1] * kinds + letter[size - 1 :] if len(prefix) else prefix
        if size in SIZES:
            prefix, known = number_by_hash(prefix)
            ids.append(prefix + known_before)
            known_before += known
    lengths = np.diff(ends, prepend=0)
    grams_a_text = sum(np.maximum(lengths - size + 1, 0) for size in SIZES)
    gram = np.empty(int(np.sum(grams_a_text)), dtype=np.int64)
    place = 0
    first = np.concatenate([[0], np.cumsum(grams_a_text)])
    for size, numbers in zip(SIZES, ids, strict=True):
        spread_grams(numbers, ends - lengths, np.maximum(lengths - size + 1, 0), first[:-1] + place, gram)
        place = place + np.maximum(lengths - size + 1, 0)
    gram = number_by_occurrence(gram, known_before)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(row, grams_a_text, len(names)).astype(np.int64))])
    return count_by_row(gram, bounds, known_before)  # type: ignore[no-any-return]


def with_diagonal(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """The matrix with 1 on its diagonal, rows sorted."""
    result = sp.csr_matrix(matrix.maximum(sp.identity(matrix.shape[0], dtype=np.float32, format="csr")))
    result.sort_indices()
    return result.astype(np.float32)


def _cosines(rows: sp.csr_matrix, faintest: float) -> sp.csr_matrix:
    """rows · rowsᵀ without what is below `faintest`."""
    from malsugoi_assets.machine import available_threads
    from malsugoi_assets.recommend.compiled import on_threads
    from malsugoi_assets.recommend.name_kernels import products_above

    n = rows.shape[0]
    by_gram = sp.csr_matrix(rows.T)
    pieces = [(start, min(start + _ROWS_A_PIECE, n)) for start in range(0, n, _ROWS_A_PIECE)]
    found: list[tuple[Integers, Integers, npt.NDArray[np.float32]]] = [None] * len(pieces)  # type: ignore[list-item]
    threads = max(1, min(available_threads(), len(pieces)))
    arrays = (rows.indptr, rows.indices, rows.data, by_gram.indptr, by_gram.indices, by_gram.data)

    def work(thread: int) -> None:
        for piece in range(thread, len(pieces), threads):
            found[piece] = products_above(*pieces[piece], *arrays, np.float32(faintest))

    on_threads(work, threads)
    line, column, value = (np.concatenate(part) for part in zip(*found, strict=True))
    # Found above the diagonal alone.
    off = line != column
    both = (np.concatenate([line, column[off]]), np.concatenate([column, line[off]]))
    return sp.csr_matrix((np.concatenate([value, value[off]]), both), shape=(n, n))
