"""Which proxy of the environment requests go through, if any, and whether it can be used."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from cc_ros.errors import SettingsError

if TYPE_CHECKING:
    from cc_ros.reasoning.llm.endpoint import Endpoint

_HTTP, _SOCKS = ("http", "https"), ("socks5", "socks5h")


def proxy_of(endpoint: Endpoint) -> str | None:
    """Return the URL of the proxy for an endpoint, None where it is asked directly.

    ``HTTPS_PROXY``, else ``ALL_PROXY``, unless ``NO_PROXY`` names the host. Unencrypted requests use no proxy: pictures
    go to the configured endpoint or nowhere.

    :raises SettingsError: the variable holds no proxy that can be used; the message repeats no password.
    """
    if not endpoint.encrypted or proxy_bypass(endpoint.host):
        return None
    proxies = getproxies()
    name = next((name for name in ("https", "all") if proxies.get(name, "").strip()), None)
    if name is None:
        return None
    variable, value = f"{name.upper()}_PROXY", proxies[name].strip()
    url = value if "://" in value else f"http://{value}"  # as curl reads it
    try:
        parts = urlsplit(url)
        scheme, host, _ = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:
        scheme, host = "", None
    if scheme == "socks":
        scheme, url = "socks5", f"socks5{url[len('socks') :]}"
    if not host or any(map(str.isspace, url)) or scheme not in _HTTP + _SOCKS:
        held = f"a {scheme} address" if host and scheme not in _HTTP else "no address of a proxy"
        raise SettingsError(
            f"the environment variable {variable} holds {held}; give one such as http://host:3128 or "
            f"socks5://host:1080, or name {endpoint.host} in NO_PROXY to go without"
        )
    if scheme in _SOCKS and importlib.util.find_spec("socksio") is None:
        raise SettingsError(
            f"the environment variable {variable} names a SOCKS proxy, which takes the package socksio: "
            f"pip install socksio, or name {endpoint.host} in NO_PROXY to go without"
        )
    return url


def shown(url: str) -> str:
    """Return a proxy's address without user and password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
