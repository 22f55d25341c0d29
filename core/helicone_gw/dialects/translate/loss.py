"""Loss: what a translation could not carry over."""

from __future__ import annotations

from helicone_gw.errors import BadRequest

MAX_ENTRIES = 32
MAX_PATH = 80


class Loss:
    """Collects the dotted paths of what was dropped or changed ("messages.2.content.0"), in the order met.

    At most `MAX_ENTRIES` are kept, ``more`` counts the others. Array indexes are left out of the header's paths: one
    entry for all messages says as much as fifty. ``strict`` refuses the first loss instead.
    """

    __slots__ = ("_paths", "more", "strict")

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self.more = 0
        self._paths: dict[str, None] = {}

    def note(self, path: str) -> None:
        """``path`` of the client's request (or of the answer) is lost. Raises `BadRequest` when strict."""
        if self.strict:
            raise BadRequest(
                f"The field {path[:MAX_PATH]!r} cannot be carried to this provider's dialect, and the request is to be "
                "translated without loss. Remove the field, or choose a provider of the same dialect.",
                code="translation_loss",
            )
        name = ".".join(step for step in path.split(".") if not step.isdecimal())[:MAX_PATH]
        if name in self._paths:
            return
        if len(self._paths) >= MAX_ENTRIES:
            self.more += 1
        else:
            self._paths[name] = None

    @property
    def paths(self) -> tuple[str, ...]:
        """What was lost, in the order met."""
        return tuple(self._paths)

    @property
    def header(self) -> str | None:
        """The value of ``Helicone-Translation-Loss``: a comma list, or ``None`` when nothing was lost."""
        if not self._paths:
            return None
        return ", ".join([*self._paths, *([f"and {self.more} more"] if self.more else [])])
