"""Plugins come from entry points; only what is configured is imported, and only what is sound is used."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pluggy
import pytest

from helicone_gw import registry
from helicone_gw.config import GatewayConfig, PluginSpec
from helicone_gw.errors import ConfigError
from helicone_gw.plugin import Plugin, PluginConfig

PREAMBLE = """\
from helicone_gw.hookspecs import hookimpl
from helicone_gw.plugin import Plugin, PluginConfig
"""

Install = Callable[..., str]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed distributions, first on the path; the rest of the path offers no plugins."""
    folders = [folder for folder in sys.path if not any(Path(folder or ".").glob("helicone_gw_*.dist-info"))]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *folders])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("toy_"):
            del sys.modules[name]


@pytest.fixture
def install(site: Path) -> Install:
    """Install a distribution with one plugin, whose module holds this code; returns the plugin's name."""
    installations = 0

    def install(name: str, code: str, *, distribution: str = "", version: str = "1.2", object: str = "Toy") -> str:
        nonlocal installations
        installations += 1
        module = f"toy_{name.replace('-', '_')}_{id(site)}_{installations}"
        (site / f"{module}.py").write_text(PREAMBLE + textwrap.dedent(code))
        folder = site / f"{distribution or f'helicone_gw_{name}'}-{version}.dist-info"
        folder.mkdir()
        (folder / "entry_points.txt").write_text(f"[helicone_gw.plugins]\n{name} = {module}:{object}\n")
        os.utime(site, ns=(installations, installations))
        return name

    return install


def refusal(name: str) -> str:
    with pytest.raises(ConfigError) as caught:
        registry.load(name)
    return "\n".join(caught.value.problems)


GOOD = """\
class ToyConfig(PluginConfig):
    size: int = 1

class Toy(Plugin):
    Config = ToyConfig
    on_failure = "open"
    timeout = 3.0

    @hookimpl
    async def pre_request(self, exchange): ...

    @hookimpl
    def on_stream_chunk(self, chunk): ...

    @hookimpl
    def register_commands(self, cli): ...

    @property
    def late(self):
        raise AttributeError("only after startup")
"""


def test_installed_plugins_are_known_without_being_imported(install: Install) -> None:
    install("toy", "raise RuntimeError('imported')", distribution="Acme.Toy_Plugin", version="2.0.1")
    install("another", GOOD)
    assert list(registry.installed()) == ["another", "toy"]
    toy = registry.installed()["toy"]
    assert (toy.name, toy.distribution, toy.version) == ("toy", "acme-toy-plugin", "2.0.1")
    assert toy.object.endswith(":Toy")


def test_loading_imports_one_plugin_once(install: Install) -> None:
    install("toy", "import builtins\nbuiltins.toy_imports = getattr(builtins, 'toy_imports', 0) + 1\n" + GOOD)
    install("other", "raise RuntimeError('imported')")
    import builtins

    assert registry.load("toy") is registry.load("toy")
    assert issubclass(registry.load("toy"), Plugin)
    assert vars(builtins).pop("toy_imports") == 1


def test_the_official_plugins_are_installed() -> None:
    found = registry.installed()
    assert {"logging", "cost", "security"} <= set(found)
    assert found["logging"].distribution == "helicone-gw-logging"


def test_a_plugin_that_is_installed_later_is_found(install: Install) -> None:
    install("toy", GOOD)
    assert list(registry.installed()) == ["toy"]
    install("later", GOOD)
    assert list(registry.installed()) == ["later", "toy"]


@pytest.mark.usefixtures("site")
def test_an_unknown_plugin_where_none_is_installed() -> None:
    assert refusal("rate_limit") == (
        "no plugin 'rate_limit' is installed (installed: none); to install it: pip install helicone-gw-rate-limit"
    )


def test_an_unknown_plugin(install: Install) -> None:
    install("logging", GOOD)
    install("cost", GOOD)
    assert refusal("loging") == (
        "no plugin 'loging' is installed; did you mean 'logging'? (installed: cost, logging); "
        "to install it: pip install helicone-gw-loging"
    )


@pytest.mark.parametrize("name", ["--index-url=http://evil", "a b", "a;b", "x\n", "", "-a", "a" * 500])
@pytest.mark.usefixtures("site")
def test_a_name_that_is_no_name_makes_no_command(name: str) -> None:
    message = refusal(name)
    assert "pip install" not in message
    assert len(message) < 200
    assert message.isprintable()


def test_two_distributions_may_not_offer_one_plugin(install: Install) -> None:
    install("toy", GOOD, distribution="good")
    install("toy", GOOD, distribution="evil")
    assert refusal("toy") == "plugin 'toy' is offered by several distributions (evil, good): uninstall all but one"


def test_a_plugin_that_cannot_be_imported(install: Install) -> None:
    install("toy", "import no_such_module_anywhere")
    message = refusal("toy")
    assert message.startswith("plugin 'toy' (helicone-gw-toy 1.2, toy_toy_")
    assert message.endswith("cannot be imported: ModuleNotFoundError: No module named 'no_such_module_anywhere'")


def test_an_entry_point_to_nothing(install: Install) -> None:
    install("toy", GOOD, object="Missing")
    assert "cannot be imported: AttributeError" in refusal("toy")


def test_entry_points_that_cannot_be_read(site: Path) -> None:
    (site / "broken-1.dist-info").mkdir()
    (site / "broken-1.dist-info" / "entry_points.txt").write_text("no section = here\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        registry.installed()


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("Toy = 5", "is not a subclass of helicone_gw.Plugin"),
        ("class Toy: pass", "is not a subclass of helicone_gw.Plugin"),
        ("Toy = Plugin", "is not a subclass of helicone_gw.Plugin"),
        ("class Toy(Plugin):\n    Config = dict", "Config is not a subclass of helicone_gw.PluginConfig"),
        (
            "class C(PluginConfig, extra='allow'): pass\nclass Toy(Plugin):\n    Config = C",
            "Config must stay frozen and forbid extra keys, as helicone_gw.PluginConfig does",
        ),
        (
            "class C(PluginConfig, frozen=False): pass\nclass Toy(Plugin):\n    Config = C",
            "Config must stay frozen and forbid extra keys, as helicone_gw.PluginConfig does",
        ),
        (
            "class C(PluginConfig):\n    timeout: int = 1\n    name: str = ''\nclass Toy(Plugin):\n    Config = C",
            "Config has keys that the gateway reads itself: name, timeout",
        ),
        ("class Toy(Plugin):\n    on_failure = 'maybe'", "on_failure is 'maybe', and should be 'open' or 'closed'"),
        ("class Toy(Plugin):\n    timeout = 0", "timeout is 0, and should be a number of seconds above zero, or None"),
        ("class Toy(Plugin):\n    tick = 'x'", "tick is 'x', and should be a number of seconds above zero, or None"),
        (
            "class Toy(Plugin):\n    @hookimpl\n    async def pre_reqest(self, exchange): ...",
            "unknown hook 'pre_reqest'; did you mean 'pre_request'?",
        ),
        ("class Toy(Plugin):\n    @hookimpl\n    def hookspec(self): ...", "unknown hook 'hookspec'"),
        (
            "class Toy(Plugin):\n    @hookimpl(optionalhook=True)\n    async def unheard_of(self): ...",
            "unknown hook 'unheard_of'",
        ),
        *(
            (
                f"class Toy(Plugin):\n    @hookimpl({option}=True)\n    async def pre_request(self, exchange): ...",
                f"pre_request sets {option}: @hookimpl takes no options, order is told in the YAML alone",
            )
            for option in ("tryfirst", "trylast", "optionalhook")
        ),
        (
            "class Toy(Plugin):\n    @hookimpl(wrapper=True)\n    def on_stream_chunk(self, chunk):\n        yield",
            "on_stream_chunk sets wrapper: @hookimpl takes no options, order is told in the YAML alone",
        ),
        (
            "class Toy(Plugin):\n    @hookimpl(hookwrapper=True)\n    def pre_request(self, exchange):\n        yield",
            "pre_request sets hookwrapper: @hookimpl takes no options, order is told in the YAML alone",
        ),
        (
            "class Toy(Plugin):\n    @hookimpl(specname='on_finish')\n    async def on_error(self, exchange): ...",
            "on_error sets specname: @hookimpl takes no options, order is told in the YAML alone",
        ),
        *(
            (
                f"class Toy(Plugin):\n    @hookimpl\n    {head}({arguments}): ...",
                f"{hook} must be an 'async def' that returns its value",
            )
            for hook, head, arguments in (
                ("on_response", "def on_response", "self, exchange"),
                ("startup", "def startup", "self, gateway"),
                ("on_error", "@staticmethod\n    def on_error", "exchange, error"),
            )
        ),
        (
            "class Toy(Plugin):\n    @hookimpl\n    async def on_error(self, exchange):\n        yield",
            "on_error must be an 'async def' that returns its value",
        ),
        (
            "class Toy(Plugin):\n    @hookimpl\n    def on_finish(self, exchange):\n        yield",
            "on_finish must be a 'def' or 'async def' that returns its value",
        ),
        (
            "class Toy(Plugin):\n    @hookimpl\n    def pre_request(self, exchange):\n        yield",
            "pre_request must be a 'def' or 'async def' that returns its value",
        ),
        *(
            (
                f"class Toy(Plugin):\n    @hookimpl\n    {head}\n        {body}",
                f"{hook} must be a plain 'def' that returns its value",
            )
            for hook, head, body in (
                ("on_stream_chunk", "async def on_stream_chunk(self, chunk):", "..."),
                ("on_stream_chunk", "async def on_stream_chunk(self, chunk):", "yield"),
                ("on_stream_chunk", "def on_stream_chunk(self, chunk):", "yield"),
                ("register_routes", "async def register_routes(self, gateway):", "..."),
                ("register_commands", "async def register_commands(self, cli):", "..."),
            )
        ),
    ],
)
def test_what_is_no_sound_plugin(install: Install, code: str, problem: str) -> None:
    install("toy", code)
    message = refusal("toy")
    assert problem in message
    assert all(line.startswith("plugin 'toy' (helicone-gw-toy 1.2, ") for line in message.splitlines())


def test_arguments_that_a_hook_does_not_have(install: Install) -> None:
    install("toy", "class Toy(Plugin):\n    @hookimpl\n    async def pre_request(self, request): ...")
    assert "Argument(s) {'request'} are declared in the hookimpl but can not be found in the hookspec" in refusal("toy")


def test_every_problem_of_a_plugin_is_told(install: Install) -> None:
    install(
        "toy",
        "class Toy(Plugin):\n    timeout = -1\n    @hookimpl(tryfirst=True)\n    def on_error(self, exchange): ...",
    )
    assert len(refusal("toy").splitlines()) == 3


def test_inherited_hooks_are_looked_at_too(install: Install) -> None:
    install("toy", "class Base(Plugin):\n    @hookimpl\n    def on_error(self): ...\nclass Toy(Base): pass")
    assert "on_error must be an 'async def'" in refusal("toy")


def spec(plugin: str, name: str = "", config: PluginConfig | None = None, **options: object) -> PluginSpec:
    own = {"config": config or registry.load(plugin).Config()}
    return PluginSpec.model_validate({"plugin": plugin, "name": name or plugin, **own, **options})


def test_instances_in_the_order_of_the_configuration(install: Install) -> None:
    install("toy", GOOD)
    install("other", GOOD)
    config = GatewayConfig(plugins=(spec("other"), spec("toy"), spec("toy", "second")))
    plugins, manager = registry.build(config)
    assert [plugin.name for plugin in plugins] == ["other", "toy", "second"]
    assert [type(plugin) for plugin in plugins] == [registry.load(name) for name in ("other", "toy", "toy")]
    assert isinstance(manager, pluggy.PluginManager)
    assert [manager.get_plugin(plugin.name) for plugin in plugins] == plugins
    registered = manager.hook.pre_request.get_hookimpls()
    assert {id(implementation.plugin) for implementation in registered} == {id(plugin) for plugin in plugins}


def test_instances_have_their_configuration(install: Install) -> None:
    install("toy", GOOD)
    own = registry.load("toy").Config.model_validate({"size": 7})
    [plugin], _ = registry.build(GatewayConfig(plugins=(spec("toy", config=own),)))
    assert plugin.config is own


def test_overrides_hold_for_their_instance_alone(install: Install) -> None:
    install("toy", GOOD)
    config = GatewayConfig(plugins=(spec("toy", on_failure="closed", timeout=0.5), spec("toy", "second")))
    (first, second), _ = registry.build(config)
    assert (first.on_failure, first.timeout) == ("closed", 0.5)
    assert (second.on_failure, second.timeout) == ("open", 3.0)


def test_no_plugins_are_a_gateway_too() -> None:
    plugins, manager = registry.build(GatewayConfig())
    assert plugins == []
    assert manager.hook.pre_request.get_hookimpls() == []


def test_a_plugin_that_refuses_to_be_created(install: Install) -> None:
    install(
        "toy",
        "class Toy(Plugin):\n    def __init__(self, config, name):\n        raise OSError('no such device')",
    )
    config = GatewayConfig(plugins=(spec("toy", "one"), spec("toy", "two")))
    with pytest.raises(ConfigError) as caught:
        registry.build(config)
    assert caught.value.problems == (
        "plugin 'one' cannot be created: OSError: no such device",
        "plugin 'two' cannot be created: OSError: no such device",
    )
