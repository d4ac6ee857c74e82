"""From where the desk can be reached, and whether it may be without a log-in."""

from __future__ import annotations

import ipaddress

from core.config import Settings
from core.errors import AccessError

FORWARDED = ("X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Via", "X-Real-Ip")
"""Headers that only a proxy adds."""


def is_loopback(address: str | None) -> bool:
    """Whether a listening address is reached from this machine only; an empty one means every interface."""
    host = (address or "").strip().strip("[]")
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def check_binding(settings: Settings, address: str | None) -> None:
    """Raise AccessError when the desk would be open to others with nobody asked who they are."""
    shown = address or "（空：所有网卡）"
    if settings.auth == "none" and not is_loopback(address):
        raise AccessError(
            f"监听地址 {shown} 不限于本机，而没有配置登录，已拒绝启动。请任选其一：只在本机使用（地址 127.0.0.1）；"
            "或设置 REX_AUTH=accounts 并用 python -m core user add 建立账号；或 REX_AUTH=oidc、REX_AUTH=proxy，"
            "见 docs/access.md。"
        )
    if settings.auth == "proxy" and not is_loopback(address) and not settings.proxy_secret.get_secret_value():
        raise AccessError(
            f"监听地址 {shown} 不限于本机，绕过代理的人可以自称任何用户，已拒绝启动。"
            "请把地址改为 127.0.0.1，或设置 REX_PROXY_SECRET 并让代理在 X-Rex-Proxy-Secret 头里送来，"
            "见 docs/access.md。"
        )


def check_request(settings: Settings, headers: dict[str, str]) -> None:
    """Raise AccessError for a request that reached a desk without log-in from elsewhere than this machine.

    A proxy on this machine, or a foreign site whose name was made to point here, would otherwise let anybody in.
    """
    if settings.auth != "none":
        return
    named = {name.casefold(): value for name, value in headers.items()}
    passed = [name for name in FORWARDED if name.casefold() in named]
    if passed:
        raise AccessError(
            f"这个请求经过代理（{passed[0]}），而工作台没有配置登录，已拒绝。请设置 REX_AUTH，见 docs/access.md。"
        )
    host = named.get("host", "localhost")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if not is_loopback(name):
        raise AccessError(
            f"工作台没有配置登录，只接受以本机名访问，而这个请求访问的是“{host[:80]}”。"
            "请用 http://127.0.0.1 打开，或设置 REX_AUTH，见 docs/access.md。"
        )
