"""Sending: an alert's notice by mail, to Slack, Discord, PagerDuty, a webhook, or to a program of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING, Any, Final

import httpx
import msgspec

from helicone_gw_alerts import notices
from helicone_gw_alerts.config import (
    AlertsConfig,
    CommandChannel,
    EmailChannel,
    PagerdutyChannel,
    SmtpConfig,
    UrlChannel,
    WebhookChannel,
)
from helicone_gw_alerts.dispatching import Undeliverable
from helicone_gw_alerts.signing import SIGNATURE, signature

if TYPE_CHECKING:
    from helicone_gw import Gateway
    from helicone_gw_alerts.outbox import Delivery

TIMEOUT: Final = 15.0
"""Seconds for a receiver."""
_ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""All that a command learns of the environment, in which providers' keys may be."""


class Sender:
    """Sends notices to ``channel:<name>`` and ``email:<address>``."""

    def __init__(self, gateway: Gateway, config: AlertsConfig) -> None:
        self._gateway = gateway
        self._config = config

    async def deliver(self, delivery: Delivery) -> None:
        """Send one of the outbox. Raises `Undeliverable`."""
        await self.send(delivery.organization_id, delivery.target_id, delivery.payload)

    async def send(self, organization: str, receiver: str, notice: Mapping[str, Any]) -> None:
        """Send ``notice``. Raises `Undeliverable`, whose message holds neither URL nor secret."""
        how, _, name = receiver.partition(":")
        if how == "email":
            await self._mail([name], notice)
            return
        channel = self._config.channels.get(name)
        if channel is None or not channel.serves(organization):
            raise Undeliverable(f"no channel {name!r} is configured", for_good=True)
        if isinstance(channel, EmailChannel):
            await self._mail(channel.to, notice)
        elif isinstance(channel, CommandChannel):
            await run(channel.argv, msgspec.json.encode(notice), channel.timeout)
        else:
            await self._post(channel, notice)

    async def _post(self, channel: UrlChannel | PagerdutyChannel | WebhookChannel, notice: Mapping[str, Any]) -> None:
        headers = {"content-type": "application/json"}
        if isinstance(channel, UrlChannel):
            made = notices.slack(notice) if channel.type == "slack" else notices.discord(notice)
        elif isinstance(channel, PagerdutyChannel):
            made = notices.pagerduty(notice, channel.routing_key.get_secret_value(), channel.severity)
        else:
            made = dict(notice)
        body = msgspec.json.encode(made)
        if isinstance(channel, WebhookChannel) and channel.secret is not None:
            headers[SIGNATURE] = signature(channel.secret.get_secret_value(), body)
        try:
            async with asyncio.timeout(TIMEOUT):
                answer = await self._gateway.http.post(
                    channel.url.get_secret_value(), content=body, headers=headers, timeout=TIMEOUT
                )
        except (TimeoutError, httpx.TimeoutException):
            raise Undeliverable("it took too long") from None
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            raise Undeliverable(f"it cannot be reached ({type(problem).__name__})") from None
        if not answer.is_success:
            raise Undeliverable(f"it answered {answer.status_code}")

    async def _mail(self, to: list[str], notice: Mapping[str, Any]) -> None:
        smtp = self._config.smtp
        if smtp is None:
            raise Undeliverable("no mail server is configured (alerts.smtp)", for_good=True)
        import aiosmtplib

        try:
            async with asyncio.timeout(TIMEOUT * 2):
                await _submit(smtp, mail(smtp.sender, to, notice))
        except TimeoutError:
            raise Undeliverable("the mail server took too long") from None
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError) as problem:
            raise Undeliverable(f"the mail server refused it, or is away ({type(problem).__name__})") from None


def mail(sender: str, to: list[str], notice: Mapping[str, Any]) -> EmailMessage:
    """The message (RFC 5322). Repeated, it has the same Message-ID, by which receivers may tell."""
    message = EmailMessage()
    message["From"], message["To"] = sender, ", ".join(to)
    message["Subject"] = notices.subject(notice)
    message["Date"] = formatdate(usegmt=True)
    domain = sender.rpartition("@")[2]
    named = f"<{notice['id']}.{notice['event']}@{domain}>" if notice["event"] != "test" else make_msgid(domain=domain)
    message["Message-ID"] = named
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(notices.text(notice) + "\n")
    return message


async def _submit(smtp: SmtpConfig, message: EmailMessage) -> None:
    password = None if smtp.password is None else smtp.password.get_secret_value()
    import aiosmtplib

    await aiosmtplib.send(
        message,
        hostname=smtp.host,
        port=smtp.port,
        username=smtp.username,
        password=password,
        use_tls=smtp.security == "tls",
        start_tls=smtp.security == "starttls",
        timeout=TIMEOUT,
    )


async def run(argv: list[str], data: bytes, timeout: float) -> None:
    """Run a program with ``data`` on its standard input, in a process group of its own; its output is not read.

    Raises `Undeliverable` when it cannot be run, takes longer than ``timeout`` seconds, or exits with anything but 0.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        )
    except (OSError, ValueError) as problem:
        raise Undeliverable(f"the command cannot be run ({type(problem).__name__})") from None
    try:
        async with asyncio.timeout(timeout):
            await process.communicate(data)
    except TimeoutError:
        raise Undeliverable("the command took too long") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        raise Undeliverable(f"the command ended with {process.returncode}")
