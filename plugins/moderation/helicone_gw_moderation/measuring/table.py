"""Precision and recall of detectors over a corpus, as the tables of the README."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from helicone_gw_moderation.detectors import Detector, Finding
from helicone_gw_moderation.measuring.corpus import SPLITS, Item

MIN_SCORE = 0.5
"""Findings of a lower score count as none, as by default in the plugin."""

_TITLES = {"train": "train", "held_out": "held out", "unseen": "unseen", "fresh": "fresh"}


class Tally(Struct):
    """How many of the attacks were found, and how many of the look-alikes were found wrongly."""

    attacks: int = 0
    found: int = 0
    look_alikes: int = 0
    wrong: int = 0

    @property
    def recall(self) -> str:
        """Found among the attacks."""
        return f"{self.found}/{self.attacks}"

    @property
    def precision(self) -> str:
        """Attacks among what was found, in per cent."""
        total = self.found + self.wrong
        return f"{100 * self.found / total:.0f} %" if total else "-"


def measure(detectors: Iterable[Detector], items: Sequence[Item]) -> dict[tuple[str, str, str], Tally]:
    """By detector, split and group. A detector is measured on the items for its name, promptbadger on injections.

    An attack of a value is found when a finding covers the value; another attack when there is any finding.
    """
    tallies: dict[tuple[str, str, str], Tally] = {}
    for detector in detectors:
        subject = "injection" if detector.name == "promptbadger" else detector.name
        for item in items:
            if item.detector != subject:
                continue
            tally = tallies.setdefault((detector.name, item.split, item.group), Tally())
            hit = any(finding.score >= MIN_SCORE and _covers(finding, item) for finding in detector.find(item.text))
            if item.attack:
                tally.attacks += 1
                tally.found += hit
            else:
                tally.look_alikes += 1
                tally.wrong += hit
    return tallies


def _covers(finding: Finding, item: Item) -> bool:
    if not item.value:
        return True
    start = item.text.index(item.value)
    return finding.start <= start and finding.end >= start + len(item.value)


def render(tallies: Mapping[tuple[str, str, str], Tally], hidings: Iterable[str]) -> str:
    """The tables, in Markdown."""
    hidden = set(hidings)
    names = list(dict.fromkeys(name for name, _, _ in tallies))
    lines = [
        "| detector | items | attacks found | look-alikes stopped | precision |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in names:
        for split in SPLITS:
            total = _sum(tallies, name, (split,))
            if total.attacks:
                lines.append(
                    f"| {name}, {_TITLES[split]} | {total.attacks + total.look_alikes} | {total.recall} "
                    f"| {total.wrong}/{total.look_alikes} | {total.precision} |"
                )
    injections = [name for name in names if name in ("injection", "promptbadger")]
    groups = list(dict.fromkeys(group for name, _, group in tallies if name in injections))
    for title, chosen in (
        ("language", [group for group in groups if group not in hidden]),
        ("hidden by", [group for group in groups if group in hidden]),
    ):
        lines += ["", *_by_group(tallies, title, chosen, injections)]
    return "\n".join([*lines, "", *_weak(tallies, names, injections)]).rstrip() + "\n"


def _by_group(
    tallies: Mapping[tuple[str, str, str], Tally], title: str, groups: Sequence[str], names: Sequence[str]
) -> Iterator[str]:
    """Attacks found and look-alikes stopped, of every split but the first."""
    yield f"| {title} | " + " | ".join(f"{name}: found | stopped" for name in names) + " |"
    yield "| --- |" + " --- | --- |" * len(names)
    for group in groups:
        cells = []
        for name in names:
            total = _sum(tallies, name, SPLITS[1:], group)
            cells.append(f"{total.recall} | {total.wrong}/{total.look_alikes}")
        yield f"| {group} | " + " | ".join(cells) + " |"


def _weak(
    tallies: Mapping[tuple[str, str, str], Tally], names: Sequence[str], injections: Sequence[str]
) -> Iterator[str]:
    """Which labels of values are not always found, or are found where they are not."""
    for name in names:
        if name in injections:
            continue
        labels = list(dict.fromkeys(group for owner, _, group in tallies if owner == name))
        told = []
        for label in labels:
            total = _sum(tallies, name, group=label)
            if total.found < total.attacks or total.wrong:
                told.append(f"{label} (found {total.recall}, stopped {total.wrong}/{total.look_alikes})")
        kinds = sum(label != "harmless" for label in labels)
        yield f"`{name}`: {kinds} kinds of value; not all right: {', '.join(told) if told else 'none'}."
        yield ""


def _sum(
    tallies: Mapping[tuple[str, str, str], Tally],
    detector: str,
    splits: Sequence[str] = SPLITS,
    group: str | None = None,
) -> Tally:
    """Of one detector, over some splits, and one group or all."""
    total = Tally()
    for (name, split, member), tally in tallies.items():
        if name == detector and split in splits and group in (None, member):
            total.attacks += tally.attacks
            total.found += tally.found
            total.look_alikes += tally.look_alikes
            total.wrong += tally.wrong
    return total
