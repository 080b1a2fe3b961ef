"""Which titles are one group: those that ties hold together, directly or through others."""

from __future__ import annotations


class Groups:
    """A union of titles by ties (Tarjan 1975, by path halving); a group is called by the lowest id in it."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}
        self._leaning: set[tuple[int, int, int]] = set()

    def join(self, left: int, right: int) -> None:
        """Both groups are one from now on."""
        a, b = self._root(left), self._root(right)
        for title in (left, right):
            self._parent.setdefault(title, title)
        self._parent[max(a, b)] = self._parent[min(a, b)] = min(a, b)

    def lean(self, title: int, on: int, rank: int = 0) -> None:
        """The title and what is joined with it belong to one group that they lean on, the one with the lowest rank.

        What leans on two, as a story does in which two series meet, makes them no one group.
        """
        for one in (title, on):
            self._parent.setdefault(one, one)
        self._leaning.add((title, rank, on))

    def found(self) -> dict[int, int]:
        """Title → its group, of all that were named."""
        joined = {title: self._root(title) for title in self._parent}
        settled: set[int] = set()
        for title, _, on in sorted(self._leaning, key=lambda tie: (joined[tie[0]], tie[1], tie[0], tie[2])):
            if joined[title] not in settled and joined[title] != joined[on]:
                settled.add(joined[title])
                self.join(title, on)
        self._leaning.clear()
        return {title: self._root(title) for title in self._parent}

    def _root(self, title: int) -> int:
        parent = self._parent
        while parent.get(title, title) != title:
            parent[title] = parent.get(parent[title], parent[title])
            title = parent[title]
        return title
