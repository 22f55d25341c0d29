"""Which configuration file is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from helicone_gw.config import PACKAGED, find_config
from helicone_gw.errors import ConfigError


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_the_first_that_there_is(tmp_path: Path) -> None:
    environ = {"HELICONE_GW_CONFIG": "from-environment.yaml"}
    assert find_config(None, {}, tmp_path) == PACKAGED
    below = put(tmp_path / "config" / "gateway.yaml")
    assert find_config(None, {}, tmp_path) == below
    here = put(tmp_path / "gateway.yaml")
    assert find_config(None, {}, tmp_path) == here
    named = put(tmp_path / "from-environment.yaml")
    assert find_config(None, environ, tmp_path) == named
    explicit = put(tmp_path / "explicit.yaml")
    assert find_config("explicit.yaml", environ, tmp_path) == explicit
    assert find_config(str(explicit), environ, Path("/elsewhere")) == explicit


def test_an_empty_name_is_none(tmp_path: Path) -> None:
    assert find_config("", {"HELICONE_GW_CONFIG": ""}, tmp_path) == PACKAGED


def test_a_file_that_was_named_is_not_passed_over(tmp_path: Path) -> None:
    put(tmp_path / "gateway.yaml")
    with pytest.raises(ConfigError, match=r"absent\.yaml: no such file \(named by --config\)"):
        find_config("absent.yaml", {}, tmp_path)
    with pytest.raises(ConfigError, match=r"absent\.yaml: no such file \(named by \$HELICONE_GW_CONFIG\)"):
        find_config(None, {"HELICONE_GW_CONFIG": "absent.yaml"}, tmp_path)
