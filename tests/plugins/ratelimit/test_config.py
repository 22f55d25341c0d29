"""The configuration: what is refused, with a reason, before anything starts."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from helicone_gw_ratelimit.config import RatelimitConfig


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"policies": {"a": "100"}}, "not a policy: it should look like"),
        ({"policies": {"a b": "100;w=60"}}, "pattern"),
        ({"limits": [{}]}, "either a policy or a concurrency"),
        ({"limits": [{"policy": "1;w=60", "concurrency": 1}]}, "either a policy or a concurrency"),
        ({"limits": [{"policy": "1;w=6"}]}, "its window should be 60"),
        ({"limits": [{"policy": "gold"}]}, "no policy is named 'gold'"),
        ({"limits": [{"policy": "1;w=60", "segment": "user"}]}, "a policy names its segment itself"),
        ({"limits": [{"concurrency": 1, "algorithm": "moving-window"}]}, "an algorithm is for policies"),
        ({"limits": [{"concurrency": True}]}, "not true or false"),
        ({"limits": [{"concurrency": 0}]}, "greater than or equal to 1"),
        ({"limits": [{"concurrency": 1, "keys": []}]}, "an empty list fits nothing"),
        ({"limits": [{"concurrency": 1, "segment": "a b"}]}, "pattern"),
        ({"limits": [{"concurrency": 1, "name": "a"}, {"concurrency": 2, "name": "a"}]}, "two limits are named 'a'"),
        ({"algorithm": "leaky"}, "token-bucket"),
        ({"lease": 0}, "greater than 0"),
        ({"nonsense": 1}, "Extra inputs"),
    ],
)
def test_what_makes_no_sense_is_refused(config: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        RatelimitConfig.model_validate(config)


def test_nothing_is_limited_by_default() -> None:
    config = RatelimitConfig()
    assert (config.limits, config.policies, config.strict, config.algorithm) == ((), {}, False, "token-bucket")


def test_segments_are_compared_in_lower_case() -> None:
    (limit,) = RatelimitConfig.model_validate({"limits": [{"concurrency": 1, "segment": "Team"}]}).limits
    assert limit.segment == "team"
