"""Calls of this machine's own servers: no proxy that the environment names leads back to it."""

import urllib.request
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit


def open_url(request: urllib.request.Request | str, timeout: float) -> Any:
    """As urlopen does, but directly where the address is this machine's."""
    url = request if isinstance(request, str) else request.full_url
    return urllib.request.build_opener(*direct(url)).open(request, timeout=timeout)


def direct(url: str) -> list[urllib.request.BaseHandler]:
    """What keeps an opener from proxies where the address is this machine's."""
    host = urlsplit(url).hostname or ""
    return [urllib.request.ProxyHandler({})] if _is_here(host) else []


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
