"""Window: one text, whole or piece by piece, in which things are found and replaced before they leave.

What is found is the same however the text was cut: see `detectors.base.Detector`. Only what left because its time was
over (``expired``) can have left before something that it belongs to was known; such hits say how much (`Hit.late`).
"""

from __future__ import annotations

import re

from msgspec import Struct
from msgspec.structs import replace

from helicone_gw_moderation.detectors.base import MAX_FINDING
from helicone_gw_moderation.lens import Lens, escaped
from helicone_gw_moderation.plan import MAX_PLACEHOLDER, Hit, Plan
from helicone_gw_moderation.vault import PLACEHOLDER, Vault, mask

STRIDE = 32
"""Characters that come, at least, before it is looked again: looking costs by the window, not by what is new in it."""
LONGEST_WHOLE = 1 << 20
"""Characters of a text that are kept for detectors of whole texts; a longer one is judged by its beginning."""

_ORDINARY = re.compile(r"[(\[\"'\u2018\u201c]{0,2}([^\W\d_]{1,24})[,;:.!?)\]\"'\u2019\u201d]{0,3}\Z")
_WITHOUT_SPACES = "\u2e80"
"""Where the scripts of East Asia begin."""
_MOST_GROUPS = 12


class Edit(Struct):
    """Raw characters from ``start`` to ``end`` become ``text``."""

    start: int
    end: int
    text: str


class Window:
    """A text under ``plan``. Placeholders of ``vault`` are replaced by what they stand for.

    `feed` takes pieces in, `decide` decides how far the text may leave, ``decided`` says so (raw), and `changed` gives
    pieces as they leave. Where ``values`` is a vault, what is redacted goes there; otherwise it is masked for good.
    """

    def __init__(self, plan: Plan, *, vault: Vault | None = None, values: Vault | None = None) -> None:
        self.plan = plan
        self.decided = 0
        self.received = 0
        self.ended = False
        self._lens = Lens()
        self._vault = vault if vault is not None and vault.values else None
        self._values = values
        self._free = not (plan.applies or plan.hold_all or self._vault)
        """Whether all of it may leave at once, since nothing that is found changes it."""
        self._overlap = max(plan.overlap, MAX_PLACEHOLDER if self._vault else 0)
        self._stride = max(STRIDE, self._overlap // 4)
        self._counted = 0
        """Where in the view the next finding may begin that was not looked at yet."""
        self._cleared = 0
        """How far the view was decided."""
        self._let_go = 0
        """How far the view left because time was over."""
        self._looked = 0
        self._expired = 0
        self._edits: list[Edit] = []
        self._whole: list[str] = []
        self._kept = 0

    @property
    def waiting(self) -> bool:
        """Whether some of it was not decided yet."""
        return self.decided < self.received

    @property
    def changes(self) -> bool:
        """Whether something in it leaves as something else."""
        return bool(self._edits)

    def feed(self, text: str) -> None:
        """Take in what follows."""
        self.received += len(text)
        self.ended = False
        self._lens.feed(text)
        if self.plan.whole and self._kept < LONGEST_WHOLE:
            self._whole.append(text)
            self._kept += len(text)

    def decide(self, *, final: bool = False, expired: int = 0) -> list[Hit]:
        """Decide as much as can be: all of it at the end (``final``), and what need not wait of that whose time is over
        (raw characters up to ``expired``).

        Returns what was found meanwhile. With a hit whose action is "block" nothing more may leave.
        """
        lens, hits = self._lens, list[Hit]()
        if final:
            lens.finish()
            self.ended = True
        if not self.plan.local and self._vault is None:
            if final or not self.plan.hold_all:
                self._cleared = self._counted = lens.end
        elif final or self._is_time(expired) or lens.end - self._looked >= self._stride:
            hits = self._look(final=final, expired=expired)
        elif self._free:
            self.decided = self.received
            return hits
        else:
            return hits
        if final and self.plan.whole:
            hits += self.plan.find("".join(self._whole), whole=True)
            self._whole.clear()
        self.decided = self.received if final or self._free else lens.raw(self._cleared)
        lens.forget(max(0, min(self._counted, self._cleared) - self._overlap))
        return hits

    def _is_time(self, expired: int) -> bool:
        """Whether to look because time is over: not again at what is known and was not old enough, or not ordinary."""
        if not expired or (expired == self._expired and self._lens.end == self._looked):
            return False
        self._expired = expired
        return True

    def changed(self, start: int, text: str) -> str:
        """The piece ``text`` that begins at ``start`` (raw) as it leaves; pieces are asked for in order."""
        end = start + len(text)
        if not self._edits or self._edits[0].start >= end:
            return text
        out: list[str] = []
        at = start
        while self._edits and self._edits[0].start < end:
            edit = self._edits[0]
            if edit.start >= start:
                out += (text[at - start : edit.start - start], edit.text)
            at = min(edit.end, end)
            if edit.end > end:
                break
            self._edits.pop(0)
        return "".join((*out, text[at - start :]))

    def _look(self, *, final: bool, expired: int) -> list[Hit]:
        lens, base = self._lens, self._lens.base
        self._looked = end = lens.end
        counts = end if final else max(self._counted, end - self._overlap)
        limit = counts
        if self.plan.hold_all and not final:
            limit = self._cleared
        elif expired and not final:
            limit = max(limit, min(base + boundary(lens.view), lens.shown(expired)))
        hits: list[Hit] = []
        for hit in self._found():
            start, stop = hit.start + base, hit.end + base
            if start < self._counted:
                continue
            if start >= counts:
                limit = min(limit, start)
                break
            if hit.action == "redact" and stop == end and not final and hit.end - hit.start < MAX_FINDING:
                counts = limit = start  # it may go on: it is replaced as a whole, when it has ended
                break
            if hit.action == "redact" and stop > self._cleared:
                self._replace(hit, max(start, self._cleared), stop)
                self._cleared = stop
            if hit.label:
                hits.append(replace(hit, start=start, end=stop, late=max(0, min(stop, self._let_go) - start)))
        self._counted = max(self._counted, counts)
        if limit > self._cleared:
            self._cleared = limit
            if limit > counts:
                self._let_go = limit
        return hits

    def _found(self) -> list[Hit]:
        """What is found in the view, and placeholders of the vault, by their beginning."""
        view = self._lens.view
        found = self.plan.find(view) if self.plan.local else []
        if self._vault is None or "[" not in view:
            return found
        values = self._vault.values
        ours = [_ours(match) for match in PLACEHOLDER.finditer(view) if match.group() in values]
        return sorted([*ours, *found], key=lambda hit: hit.start) if ours else found

    def _replace(self, hit: Hit, start: int, stop: int) -> None:
        lens = self._lens
        value = lens.view[start - lens.base : stop - lens.base]
        if not hit.label:
            text = "" if self._vault is None else self._vault.values.get(value, value)
        elif self._values is not None and hit.restore:
            text = self._values.placeholder(hit.label, value)
        else:
            text = mask(hit.label)
        self._edits.append(Edit(lens.raw(start), lens.raw(stop), escaped(text) if lens.is_json else text))


def _ours(match: re.Match[str]) -> Hit:
    return Hit(match.start(), match.end(), "", "", "", "redact", "flagged")


def boundary(view: str) -> int:
    """How much of ``view`` may leave when time is over and more may follow: all but a last word that is not ordinary.

    A key, an address or a number is a word without spaces, or groups of digits with spaces between them; an ordinary
    word is of letters alone, and not very long. Scripts without spaces have no words in this sense.
    """
    start = _word(view, len(view))
    tail = view[start:]
    ordinary = _ORDINARY.match(tail)
    if ordinary is not None and not (len(ordinary[1]) > 3 and ordinary[1][:4].isupper()):
        return len(view)
    for _ in range(_MOST_GROUPS):
        if start == 0 or view[start - 1] not in " \t":
            break
        before = _word(view, start - 1)
        if not any(map(str.isdigit, view[before : start - 1])):
            break
        start = before
    return start


def _word(view: str, end: int) -> int:
    """Where the word begins that ends at ``end``."""
    start = end
    least = max(0, end - MAX_FINDING)
    while start > least and not view[start - 1].isspace() and view[start - 1] < _WITHOUT_SPACES:
        start -= 1
    return start
