"""Who asked to be forgotten, as salted hashes: enough to never bring somebody back, too little to read a name from.

`state/forgotten/salt` (readable by its owner alone) and `state/forgotten/hashes`, one hex digest a line. Without the
salt the digests say nothing; with it one can only ask "is it this name?", which is what they are for.
"""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

from malsugoi_assets.disk import replace_file
from malsugoi_assets.usernames import canonical


class Forgotten:
    """The people whom a data dir has forgotten."""

    def __init__(self, root: Path) -> None:
        self._salt = root / "state" / "forgotten" / "salt"
        self._hashes = root / "state" / "forgotten" / "hashes"
        self._read: tuple[int, bytes, frozenset[str]] | None = None

    def has(self, username: str) -> bool:
        """Whether this person, however the name is written, is to be left out."""
        salt, hashes = self._known()
        return bool(hashes) and _digest(salt, username) in hashes

    def add(self, username: str) -> None:
        """Remember to leave this person out; doing it again changes nothing."""
        salt, hashes = self._known()
        if not salt:
            salt = secrets.token_bytes(32)
            with replace_file(self._salt) as draft:
                draft.touch(mode=0o600)
                draft.write_bytes(salt)
        with replace_file(self._hashes) as draft:
            draft.write_text("".join(f"{line}\n" for line in sorted({*hashes, _digest(salt, username)})))
            draft.chmod(0o600)
        self._read = None

    def _known(self) -> tuple[bytes, frozenset[str]]:
        try:
            changed = self._hashes.stat().st_mtime_ns
        except FileNotFoundError:
            return (self._salt.read_bytes() if self._salt.exists() else b""), frozenset()
        if self._read is None or self._read[0] != changed:
            self._read = (changed, self._salt.read_bytes(), frozenset(self._hashes.read_text().split()))
        return self._read[1], self._read[2]


def _digest(salt: bytes, username: str) -> str:
    return hashlib.blake2b(canonical(username).encode(), key=salt, digest_size=16).hexdigest()
