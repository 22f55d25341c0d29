"""The gateway's pages behind nginx, which takes a prefix off the paths."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest

from tests.plugins.security.people import HASH
from tests.program import free_port, gateway, process

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")

CONFIGURATION = """
pid {directory}/nginx.pid;
error_log {directory}/error.log;
daemon off;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location /llm/ {{
            proxy_pass {url}/;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-Prefix /llm;
        }}
    }}
}}
"""


@pytest.mark.full
@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_a_browser_logs_in_and_stays_below_it(tmp_path: Path) -> None:
    users = {"ann@example.com": {"password_hash": HASH, "role": "admin"}}
    config = {
        "server": {"trusted_proxies": ["127.0.0.1"]},
        "database": {"url": f"sqlite:///{tmp_path}/kept.db"},
        "plugins": ["logging", {"security": {"users": users}}, {"dashboard": {"forwarded_prefix": True}}],
    }
    with gateway(config, tmp_path) as url:
        port = free_port()
        file = tmp_path / "nginx.conf"
        file.write_text(CONFIGURATION.format(directory=tmp_path, port=port, url=url))
        front = f"http://127.0.0.1:{port}"
        with (
            process([NGINX or "", "-c", file], f"{front}/llm/healthz", tmp_path / "nginx.log"),
            httpx.Client(base_url=front, trust_env=False, headers={"accept": "text/html"}) as browser,
        ):
            sent = browser.get("/llm/dashboard/keys")
            assert (sent.status_code, sent.headers["location"]) == (303, "/llm/dashboard/login?next=/dashboard/keys")
            page = browser.get(sent.headers["location"])
            assert page.status_code == 200
            assert 'action="/llm/auth/login"' in page.text
            form = {"email": "ann@example.com", "password": "correct horse battery", "next": "/dashboard/keys"}
            done = browser.post("/llm/auth/login", data=form, headers={"sec-fetch-site": "same-origin"})
            assert (done.status_code, done.headers["location"]) == (303, "/llm/dashboard/keys")
            assert "Path=/llm/" in done.headers["set-cookie"]
            assert browser.get(done.headers["location"]).status_code == 200
