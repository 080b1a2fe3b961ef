"""Which files of a folder are read: by their columns, and a rule where several could be meant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from malsugoi_assets.files.errors import FilesError
from malsugoi_assets.files.shapes import (
    CATALOGUE_FIELDS,
    CATALOGUE_SHAPES,
    LIST_FIELDS,
    LIST_SHAPES,
    Shape,
    describes_itself,
    fields_of,
    is_catalogue,
    is_lists,
    shape_of,
)
from malsugoi_assets.files.tables import ENDINGS, column_names, find_table
from malsugoi_assets.files.titles import CATALOGUE_CROSSWALK, LIST_CROSSWALK

NO_LISTS = (
    "has no ratings.{parquet,csv,csv.gz}, nor another file with columns for a user, an anime and a score "
    "(docs/files.md names the shapes)"
)
NO_CATALOGUE = (
    "has no anime.{parquet,csv,csv.gz}, nor another file with columns for an anime and what it is "
    "(docs/files.md names the shapes)"
)


@dataclass(frozen=True)
class Chosen:
    """The files to read. `catalogue` is None where the list file carries its own; `left_alone` names the others."""

    lists: Path
    list_shape: str
    catalogue: Path | None
    catalogue_shape: str
    left_alone: tuple[str, ...]


@dataclass(frozen=True)
class _Candidate:
    path: Path
    shape: Shape
    fields: int

    @property
    def fullness(self) -> tuple[int, int, str]:
        """The most fields first, then the largest file, then the name."""
        return (self.fields, self.path.stat().st_size, self.path.name)


def choose(folder: Path) -> Chosen:
    """`ratings` and `anime` by these names where there are such files, else the fullest of each kind.

    Raises `FilesError` where one kind is missing, or where files of two origins lie in the folder.
    """
    named_lists, named_catalogue = find_table(folder, "ratings"), find_table(folder, "anime")
    lists, catalogues, broken = _candidates(folder)
    every = {found.path for found in (*lists, *catalogues)}
    if named_lists:
        # Its name says what it has to be: a column that it lacks is for its reader to say.
        lists = [_lists(named_lists, column_names(named_lists))]
    if named_catalogue:
        catalogues = [_catalogue(named_catalogue, column_names(named_catalogue))]
    if not lists and broken:
        raise broken[0]
    if not lists and not catalogues:
        raise FilesError(folder, f"{NO_CATALOGUE}, and {NO_LISTS}")
    if not lists:
        raise FilesError(folder, NO_LISTS)
    itself = [found for found in lists if describes_itself(column_names(found.path))]
    if not catalogues and not itself:
        raise broken[0] if broken else FilesError(folder, NO_CATALOGUE)
    _of_one_origin(folder, [*lists, *catalogues])
    # Beside a catalogue, lists that were joined with one are another dump's: 2023's folder has 2018's so.
    of_the_dump = [found for found in lists if found not in itself] or lists
    chosen = max(of_the_dump if catalogues else itself, key=lambda found: found.fullness)
    catalogue = max(catalogues, key=lambda found: found.fullness) if catalogues else None
    used = {chosen.path, catalogue.path if catalogue else chosen.path}
    others = [path.name for path in every - used]
    return Chosen(
        chosen.path,
        chosen.shape.name,
        catalogue.path if catalogue else None,
        catalogue.shape.name if catalogue else "within the lists",
        tuple(sorted(others)),
    )


def _candidates(folder: Path) -> tuple[list[_Candidate], list[_Candidate], list[FilesError]]:
    """(files with lists, files with titles, why others could not be looked at)."""
    lists, catalogues, broken = [], [], []
    for path in sorted(folder.iterdir()):
        if not path.is_file() or not path.name.endswith(ENDINGS) or path.name.startswith("."):
            continue
        if path.name in (LIST_CROSSWALK, CATALOGUE_CROSSWALK) or path.name.split(".")[0] == "relations":
            continue
        try:
            names = column_names(path)
        except FilesError as error:
            broken.append(error)
            continue
        if is_lists(names):
            lists.append(_lists(path, names))
        elif is_catalogue(names):
            catalogues.append(_catalogue(path, names))
    return lists, catalogues, broken


def _lists(path: Path, names: tuple[str, ...]) -> _Candidate:
    return _Candidate(path, shape_of(names, LIST_SHAPES), len(fields_of(names, LIST_FIELDS)))


def _catalogue(path: Path, names: tuple[str, ...]) -> _Candidate:
    return _Candidate(path, shape_of(names, CATALOGUE_SHAPES), len(fields_of(names, CATALOGUE_FIELDS)))


def _of_one_origin(folder: Path, found: list[_Candidate]) -> None:
    origins = {c.shape.family: c for c in sorted(found, key=lambda c: c.path.name) if c.shape.family}
    if len(origins) > 1:
        one, other = list(origins.values())[:2]
        raise FilesError(
            folder,
            f"is half one shape and half another: {one.path.name} ({one.shape.name}) and {other.path.name} "
            f"({other.shape.name}) do not belong together; leave the files of one of them",
        )
