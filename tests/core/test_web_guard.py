"""The guard of a local web server: who is let in, and who is told to stay out."""

import pytest

from animegan.core.web_guard import Access, ForeignRequestError, WebGuard

GUARD = WebGuard.create("127.0.0.1", 8097)
HOST = "127.0.0.1:8097"


def access(peer: str = "127.0.0.1", target: str = "/", method: str = "GET", **more: str) -> Access:
    headers = {"Host": HOST} | {name.replace("_", "-"): text for name, text in more.items()}
    return GUARD.access(method, target, headers, peer)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8097", "127.0.0.1.evil.example", "", "a@127.0.0.1", "[::1",
     "127.0.0.1:port", "192.0.2.1:8097", "127.0.0.1/x", "127.0.0.1, evil.example"],
)  # fmt: skip
def test_a_foreign_host_is_refused_whatever_it_shows(host: str) -> None:
    with pytest.raises(ForeignRequestError):
        access(Host=host, Authorization=f"Bearer {GUARD.token}")


@pytest.mark.parametrize("host", ["127.0.0.1:8097", "LOCALHOST:8097", "[::1]:8097", "localhost:9"])
def test_the_names_of_this_machine_are_let_in(host: str) -> None:
    assert access(Host=host, Origin=f"http://{host}", Cookie=f"animegan-8097={GUARD.token}") is (
        Access.OWNER
    )


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "http://127.0.0.1:3000",
        "file://",
        "http://localhost:8097",
    ],
)
def test_a_page_of_another_origin_is_refused_even_with_the_cookie(origin: str) -> None:
    with pytest.raises(ForeignRequestError):
        access(Origin=origin, Cookie=f"animegan-8097={GUARD.token}")


def test_another_site_may_only_link_here() -> None:
    foreign = {"Sec_Fetch_Site": "cross-site", "Cookie": f"animegan-8097={GUARD.token}"}
    page = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert access(**foreign, **page) is Access.OWNER
    for other in ({}, page | {"Sec_Fetch_Dest": "iframe"}):
        with pytest.raises(ForeignRequestError):
            access(**foreign, **other)
    with pytest.raises(ForeignRequestError):
        access(method="POST", **foreign, **page)


def test_the_token_is_taken_from_address_cookie_and_header_alike() -> None:
    token = GUARD.token
    assert access("192.0.2.1", f"/?token={token}") is Access.OWNER
    assert access("192.0.2.1", Cookie=f"a=b; animegan-8097={token}") is Access.OWNER
    assert access("192.0.2.1", Authorization=f"Bearer {token}") is Access.OWNER
    for wrong in ("", "x", token[:-1], token + "x", "\udcff"):
        assert access("192.0.2.1", f"/?token={wrong}", Cookie=f"animegan-8097={wrong}") is (
            Access.NONE
        )
    assert access("192.0.2.1", Cookie=f"animegan-8098={token}") is Access.NONE
    assert WebGuard.create("127.0.0.1", 8097).token != token


@pytest.mark.parametrize("sign", ["Origin", "Sec_Fetch_Site", "Cookie", "X_Forwarded_For"])
def test_only_a_program_of_this_machine_needs_no_token(sign: str) -> None:
    assert access() is access("::1") is access("::ffff:127.0.0.1") is Access.PROGRAM
    assert access("192.0.2.1") is access("not an address") is Access.NONE
    value = {"Origin": f"http://{HOST}", "Sec_Fetch_Site": "same-origin"}.get(sign, "a=b")
    assert access(**{sign: value}) is Access.NONE


def test_on_all_addresses_any_number_is_ours_and_no_other_name() -> None:
    guard = WebGuard.create("0.0.0.0", 8097)
    token = f"/?token={guard.token}"
    assert guard.access("GET", token, {"Host": "192.0.2.1:8097"}, "192.0.2.9") is Access.OWNER
    with pytest.raises(ForeignRequestError):
        guard.access("GET", token, {"Host": "evil.example:8097"}, "192.0.2.9")
