"""What the kit offers under its one name."""

import pytest

import helicone_gw.testing


@pytest.mark.parametrize("name", helicone_gw.testing.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(helicone_gw.testing, name) is not None


def test_any_other_name_is_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = helicone_gw.testing.nothing
