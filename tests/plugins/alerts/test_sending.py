"""What channels send, over real sockets: to a mail server, to services, to a command."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from helicone_gw.testing import GatewayFactory, of_json
from helicone_gw_alerts.dispatching import Undeliverable
from helicone_gw_alerts.notices import notice, pagerduty, subject, text
from helicone_gw_alerts.rules import Rule
from helicone_gw_alerts.sending import mail, run
from tests.plugins.alerts.running import LOGGED, Mailbox, receiver, rest, signed

RULE = Rule(name="Errors\r\nBcc: eve@example.com", metric="response.status", threshold=5)


def told(event: str = "triggered", rule: Rule = RULE) -> dict[str, Any]:
    return notice(
        event,
        id="e1",
        alert_id="a1",
        organization="default",
        rule=rule,
        group="gpt-4o <!channel>",
        value=12.5,
        requests=8,
        started_at=0,
        ended_at=None if event == "triggered" else 60,
    )


def test_a_notice_in_words() -> None:
    words = text(told())
    assert "Value: 12.5% errors; it fires at or above 5% errors" in words
    assert "Requests: 8 in 300 s" in words
    assert subject(told()) == "[triggered] Errors Bcc: eve@example.com (gpt-4o <!channel>)"


def test_names_do_not_become_headers_of_mail() -> None:
    message = mail("gw@example.com", ["ops@example.com"], told())
    assert message["Bcc"] is None
    assert message["Message-ID"] == "<e1.triggered@example.com>"


def test_firing_and_resolving_are_one_incident() -> None:
    first, second = pagerduty(told(), "key", "error"), pagerduty(told("resolved"), "key", "error")
    assert (first["event_action"], second["event_action"]) == ("trigger", "resolve")
    assert first["dedup_key"] == second["dedup_key"]


async def test_a_command_gets_the_notice_and_no_secret_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    script = "import json, os, sys; json.dump([json.load(sys.stdin), dict(os.environ)], open(sys.argv[1], 'w'))"
    await run([sys.executable, "-c", script, str(tmp_path / "out")], json.dumps(told()).encode(), 30)
    got, environment = json.loads((tmp_path / "out").read_text())
    assert got == told()
    assert "sk-secret" not in environment.values()


async def test_a_command_that_fails_hangs_or_is_not_there_is_told_of() -> None:
    with pytest.raises(Undeliverable, match="ended with 3"):
        await run([sys.executable, "-c", "raise SystemExit(3)"], b"{}", 30)
    with pytest.raises(Undeliverable, match="too long"):
        await run([sys.executable, "-c", "import time; time.sleep(600)"], b"{}", 0.2)
    with pytest.raises(Undeliverable, match="cannot be run"):
        await run(["/nowhere/at/all"], b"{}", 30)


async def test_every_channel_over_real_sockets(gateway: GatewayFactory, mailbox: Mailbox) -> None:
    sink = receiver()
    url = "http://sink.test"
    channels = {
        "mail": {"type": "email", "to": ["ops@example.com", "dev@example.com"]},
        "slack": {"type": "slack", "url": f"{url}/slack-secret"},
        "discord": {"type": "discord", "url": f"{url}/discord-secret"},
        "pager": {"type": "pagerduty", "routing_key": "r-key", "url": f"{url}/pager"},
        "hook": {"type": "webhook", "url": f"{url}/hook", "secret": "s3cret"},
        "other": {"type": "slack", "url": f"{url}/other", "organizations": ["elsewhere"]},
    }
    smtp = {"host": "127.0.0.1", "port": mailbox.port, "security": "none", "sender": "gw@example.com"}
    config = {"alerts": {"poll_every": 1e8, "channels": channels, "smtp": smtp}}
    async with gateway([*LOGGED, config], http=sink) as running:
        names = ["mail", "slack", "discord", "pager", "hook"]
        rule = {"name": "<@everyone>", "metric": "cost", "threshold": 1, "channels": names, "emails": ["a@b.example"]}
        made = await rest(running, "POST", "/v1/alert/create", rule)
        results = await rest(running, "POST", f"/v1/alert/{made}/test")
        assert [each["delivered"] for each in results] == [True] * 6
        to = sorted(each.rcpt_tos for each in mailbox.got)
        assert to == [["a@b.example"], ["ops@example.com", "dev@example.com"]]
        assert b"Subject: [test] <@everyone>" in (mailbox.got[0].content or b"")
        by_path = {each.target: each for each in sink.requests}
        assert "&lt;@everyone&gt;" in by_path["/slack-secret"].json()["text"]
        assert by_path["/discord-secret"].json()["allowed_mentions"] == {"parse": []}
        assert by_path["/pager"].json()["routing_key"] == "r-key"
        hook = by_path["/hook"]
        assert hook.headers.get("helicone-signature") == signed("s3cret", hook.body)
        foreign = {**rule, "channels": ["other"]}
        assert "other" in await rest(running, "POST", "/v1/alert/create", foreign, status=400)
        sink.default = of_json({}, status=500)
        failed = await rest(running, "POST", f"/v1/alert/{made}/test")
        assert [each["delivered"] for each in failed] == [True, False, False, False, False, True]
        assert "secret" not in json.dumps([failed, await rest(running, "GET", "/v1/alert/query")])
