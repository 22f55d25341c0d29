"""Loss: dotted paths of what a translation dropped, bounded, in the order met."""

import pytest

from helicone_gw.dialects.translate.loss import MAX_ENTRIES, Loss
from helicone_gw.errors import BadRequest


def test_nothing_lost_is_no_header():
    assert Loss().header is None


def test_paths_are_listed_once_in_the_order_met_without_indexes():
    loss = Loss()
    for path in ("seed", "messages.2.content.0.detail", "messages.7.content.1.detail", "logit_bias"):
        loss.note(path)
    assert loss.paths == ("seed", "messages.content.detail", "logit_bias")
    assert loss.header == "seed, messages.content.detail, logit_bias"


def test_a_strict_translation_refuses_the_first_loss_and_names_the_field():
    with pytest.raises(BadRequest, match=r"'messages\.0\.name'") as refused:
        Loss(strict=True).note("messages.0.name")
    assert refused.value.code == "translation_loss"
    assert refused.value.status == 400


def test_the_list_is_bounded_and_says_how_much_more_there_was():
    loss = Loss()
    for number in range(MAX_ENTRIES + 3):
        loss.note(f"field_{number}")
    assert len(loss.paths) == MAX_ENTRIES
    assert loss.more == 3
    assert loss.header is not None
    assert loss.header.endswith("and 3 more")


def test_a_long_path_is_cut():
    loss = Loss()
    loss.note("x" * 5000)
    assert len(loss.paths[0]) == 80
