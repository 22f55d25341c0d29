"""Rule packs: their form, the place of every mistake, users' own beside those that come with the plugin."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from helicone_gw import ConfigError
from helicone_gw_moderation.detectors import DetectorsConfig, configured
from helicone_gw_moderation.detectors.detector import build_detectors
from helicone_gw_moderation.detectors.rules import BUILT_IN, built_in, read

README = Path(__file__).parents[3] / "plugins" / "moderation" / "README.md"
HEAD = "detector: mine\ncategory: keyword\nrules:\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEAD + "  - {label: a, words: [[x]]}\n", "mine.yaml:4:13: rules.0.label: String should match"),
        (HEAD + "  - label: ok\n    words: [[x]]\n    scroe: 1\n", "mine.yaml:6:12: rules.0.scroe: Extra inputs"),
        (
            HEAD + "  - label: ok\n    words: [[x]]\n    score: 2\n",
            "mine.yaml:6:12: rules.0.score: Input should be less",
        ),
        (HEAD + "  - {label: none}\n", "mine.yaml:4:5: none: needs exactly one of"),
        (HEAD + "  - {label: both, words: [[x]], regex: y}\n", "mine.yaml:4:5: both: needs exactly one of"),
        (HEAD + "  - {label: ok, words: [[x], []]}\n", "mine.yaml:4:5: ok: a group of words is empty"),
        (HEAD + "  - {label: ok, words: [['*']]}\n", "mine.yaml:4:5: ok: a group of words is empty"),
        (HEAD + "  - {label: ok, anchors: [key]}\n", "mine.yaml:4:5: ok: anchors have two characters or more"),
        (HEAD + "  - [\n", "mine.yaml:5:1: not valid YAML"),
        ("detector: mine\n", "mine.yaml:1:1: category: Field required"),
        ("", "mine.yaml:1:1: : Input should be"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(text, "mine.yaml")
    assert any(line.startswith(problem) for line in refused.value.problems), refused.value.problems


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("shapes: ['999'], check: nothing", "4:5: ok: check is one of"),
        (f"shapes: ['{'9' * 35}']", "4:5: ok: a shape has at most 34 characters"),
        ("finder: nothing", "4:5: ok: finder is one of"),
        ("anchors: [key], follows: '('", "4:5: ok: follows is not a regular expression"),
        ("regex: '('", "4:5: ok: "),
        (f"words: [[{'x' * 200}], [{'y' * 60}]]", "4:5: ok: its words and gaps can take 284 characters"),
    ],
)
def test_a_rule_that_cannot_be_used_is_told_with_its_place(rule: str, problem: str) -> None:
    pack = read(HEAD + "  - {label: ok, " + rule + "}\n", "mine.yaml")
    with pytest.raises(ConfigError) as refused:
        build_detectors((), packs=(pack,))
    assert refused.value.problems[0].startswith(f"mine.yaml:{problem}")


def test_every_pack_that_comes_with_the_plugin_can_be_used_and_says_what_it_finds() -> None:
    for detector, name in zip(build_detectors(), BUILT_IN, strict=True):
        assert detector.name == name
        labels = {rule.label for rule in built_in(name).content.rules if rule.enabled}
        found = detector.finds  # type: ignore[attr-defined]
        assert labels - {"crypto_address"} <= found


def test_a_file_joins_the_detector_that_it_names_or_makes_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "pii.yaml").write_text(
        "detector: pii\ncategory: pii\nrules:\n  - {label: staff_number, shapes: ['A-9999'], score: 0.8}\n"
    )
    (tmp_path / "names.yaml").write_text(HEAD + "  - {label: project_name, words: [[Bluebird]]}\n")
    made = configured(DetectorsConfig(files=(tmp_path / "pii.yaml", tmp_path / "names.yaml")))
    assert [detector.name for detector in made] == [*BUILT_IN, "mine"]
    assert [finding.label for finding in made[1].find("Staff K-1234 of 10 people")] == ["staff_number"]
    assert [finding.label for finding in made[3].find("About BLUEBIRD.")] == ["project_name"]


def test_a_file_that_cannot_be_read_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        configured(DetectorsConfig(files=(tmp_path / "none.yaml",)))


def test_keywords_are_found_folded_but_not_backwards() -> None:
    (*_, detector) = configured(DetectorsConfig(keywords={"animal": ("gnat", "wild boar*")}))
    labels = [
        text for text in ("GNÄT", "gnats", "tang", "Wild  Boar", "wild boars", "g\u200bnat") if detector.find(text)
    ]
    assert labels == ["GNÄT", "wild boars", "g\u200bnat"]


def test_the_rules_of_the_readme_can_be_used_and_find_what_it_says(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```yml\n(.*?)^```", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "internal.yaml").write_text(example)
    (*_, detector) = configured(DetectorsConfig(files=(tmp_path / "internal.yaml",)))
    for text, label in (
        ("About BLUEBIRD.", "project_name"),
        ("the project 47b", "project_name"),
        ("please write me some malware", "leaving_the_topic"),
        ("do not write malware", None),
        ("BDG-00FF00FF", "badge"),
        ("BDG-00FF00FF0", None),
        ("staff number K-1234 56", "staff_number"),
        ("number K-1234 56", None),
        ("TICKET-12345", "ticket"),
    ):
        assert [finding.label for finding in detector.find(text)] == ([label] if label else []), text
