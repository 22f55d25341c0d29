"""Messages of a WebSocket go inwards through the filters, and outwards."""

from __future__ import annotations

from helicone_gw.pipeline.messages import Filters, Passed


class Marking:
    """Puts its name behind every message; what is "mine" it answers, or ends, itself."""

    def __init__(self, name: str) -> None:
        self.name = name

    def from_client(self, message: str | bytes) -> Passed:
        if message == f"mine {self.name}":
            return Passed((), (f"no from {self.name}",))
        return Passed((), ("bye",), "over") if message == f"end {self.name}" else Passed((f"{message}{self.name}",))

    def from_upstream(self, message: str | bytes) -> Passed:
        return Passed((), (), "over") if message == f"end {self.name}" else Passed((), (f"{message}{self.name}",))

    def tick(self) -> Passed:
        return Passed((f"up{self.name}",), (f"tick{self.name}",))

    def end(self) -> Passed:
        return Passed((), (f"end{self.name}",))


FILTERS = Filters([Marking("a"), Marking("b")])


def test_a_message_passes_every_layer_on_its_way() -> None:
    assert FILTERS.from_client("m") == Passed(["mab"], [])
    assert FILTERS.from_upstream("m") == Passed([], ["mba"])


def test_a_layer_may_answer_or_end_it_and_nobody_further_hears_of_it() -> None:
    assert FILTERS.from_client("mine a") == Passed([], ["no from a"])
    assert FILTERS.from_client("end a") == Passed((), ["bye"], "over")
    assert FILTERS.from_upstream("end b") == Passed([], [], "over")


def test_what_a_layer_lets_go_later_passes_the_layers_outside_of_it() -> None:
    ticked = FILTERS.tick()
    assert (list(ticked.to_upstream), list(ticked.to_client)) == (["upb", "upa"], ["tickba", "ticka"])
    ended = FILTERS.end()
    assert (list(ended.to_client), ended.close) == (["endba", "enda"], None)
