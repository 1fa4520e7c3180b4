from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_aluo.protocol.account import ANONYMOUS, EXTRAS, Account, read
from airflow_aluo.protocol.errors import AluoRequestInvalid
from airflow_aluo.protocol.vocabulary import DEFAULT_BASE_URL

KEY = "sk-0123456789abcdef"


def account(
    *, host: str | None = None, port: int | None = None, password: str | None = KEY, **extra: Any
) -> Account:
    return read("aluo_default", host=host, port=port, password=password, extra=extra)


def refusal(
    *, host: str | None = None, port: int | None = None, password: str | None = KEY, **extra: Any
) -> AluoRequestInvalid:
    with pytest.raises(AluoRequestInvalid) as caught:
        account(host=host, port=port, password=password, **extra)
    return caught.value


def test_a_key_alone_is_enough() -> None:
    assert account() == Account(
        base_url="https://api.aluo.ai/api",
        api_key=KEY,
        requests_per_minute=10,
        credits_per_edit=40,
        conn_id="aluo_default",
    )


@pytest.mark.parametrize(
    ("plan", "requests", "credits_"), [("free", 10, 40), ("pro", 100, 35), ("max", 1000, 35)]
)
def test_a_plan_sets_its_rate_and_price(plan: str, requests: float, credits_: float) -> None:
    found = account(plan=plan)
    assert (found.plan, found.requests_per_minute, found.credits_per_edit) == (plan, requests, credits_)


def test_a_rate_and_a_price_go_before_the_plans() -> None:
    found = account(plan="pro", requests_per_minute=50, credits_per_edit="12.5")
    assert (found.requests_per_minute, found.credits_per_edit) == (50.0, 12.5)


@pytest.mark.parametrize(
    ("name", "written", "read_as"),
    [
        ("connect_timeout", 3, 3.0),
        ("connect_timeout", "3.5", 3.5),
        ("read_timeout", 60, 60.0),
        ("submit_timeout", "240", 240.0),
        ("verify", True, True),
        ("verify", False, False),
        ("verify", "False", False),
        ("verify", "true", True),
        ("verify", "/etc/ssl/ours.pem", "/etc/ssl/ours.pem"),
        ("proxy", "http://proxy.example:3128", "http://proxy.example:3128"),
        ("proxy", "https://user:secret@proxy.example", "https://user:secret@proxy.example"),
        ("allow_private_hosts", ["minio", "10.0.0.7"], ("minio", "10.0.0.7")),
        ("allow_private_hosts", "minio, 10.0.0.7", ("minio", "10.0.0.7")),
        ("allow_private_hosts", ["10.0.0.7/8", " fd00::/8 "], ("10.0.0.7/8", " fd00::/8 ")),
        ("allow_private_hosts", [], ()),
    ],
)
def test_each_extra_is_read_as_it_was_meant(name: str, written: Any, read_as: Any) -> None:
    found = getattr(account(**{name: written}), name)
    assert found == read_as
    assert type(found) is type(read_as)


@pytest.mark.parametrize("nothing", [None, ""])
@pytest.mark.parametrize("name", EXTRAS)
def test_a_field_that_was_left_empty_in_the_form_is_the_default(name: str, nothing: Any) -> None:
    assert account(**{name: nothing}) == account()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("plan", "gold", "one of free, pro, max"),
        ("plan", "PRO", "one of free, pro, max"),
        ("plan", ["pro"], "one of free, pro, max"),
        ("requests_per_minute", 0, "a number above 0"),
        ("requests_per_minute", 10**400, "a number above 0"),
        ("requests_per_minute", True, "a number above 0"),
        ("credits_per_edit", -1, "a number above 0"),
        ("credits_per_edit", [40], "a number above 0"),
        ("connect_timeout", "soon", "a number above 0"),
        ("read_timeout", "nan", "a number above 0"),
        ("submit_timeout", "inf", "a number above 0"),
        ("verify", 1, "true, false, or the path"),
        ("proxy", "proxy.example:3128", "an address such as http://"),
        ("proxy", "http://proxy example", "an address such as http://"),
        ("proxy", "socks5://proxy.example", "an address such as http://"),
        ("proxy", 3128, "an address such as http://"),
        ("allow_private_hosts", {"minio": True}, "host names, as a list"),
        ("allow_private_hosts", "minio, 10.0.0.0/99", "a range of addresses such as 10.0.0.0/8"),
        ("allow_private_hosts", ["http://minio/"], "a host's name, an address, or a range"),
        ("allow_private_hosts", [7], "host names, as a list"),
    ],
)
def test_an_extra_that_cannot_be_used_is_named_with_what_is_allowed(
    name: str, value: Any, expected: str
) -> None:
    error = refusal(**{name: value})
    (problem,) = error.problems
    assert problem.parameter == f"extra {name!r}"
    assert expected in problem.expected
    assert len(problem.value) <= 80


def test_every_extra_has_a_claim_that_it_is_read_and_one_that_it_is_refused() -> None:
    for claim in (
        test_each_extra_is_read_as_it_was_meant,
        test_an_extra_that_cannot_be_used_is_named_with_what_is_allowed,
    ):
        rows = claim.pytestmark[0].args[1]
        elsewhere = {"plan", "requests_per_minute", "credits_per_edit"}
        assert {row[0] for row in rows} | elsewhere == set(EXTRAS)


def test_an_unknown_extra_lists_the_known_ones() -> None:
    (problem,) = refusal(headers={"X-Secret": "s3cret"}).problems
    assert problem.parameter == "extra 'headers'"
    assert all(name in problem.expected for name in EXTRAS)
    assert "s3cret" not in str(problem)


def test_all_problems_are_told_at_once() -> None:
    error = refusal(host="ftp://x", password="", plan="gold", connect_timeout=-1, retries=3)
    assert error.subject == "connection 'aluo_default'"
    assert [problem.parameter for problem in error.problems] == [
        "password",
        "extra 'retries'",
        "host",
        "extra 'plan'",
        "extra 'connect_timeout'",
    ]


@pytest.mark.parametrize("password", [None, "", "  \n"])
def test_a_connection_without_a_key_says_where_to_put_it(password: str | None) -> None:
    (problem,) = refusal(password=password).problems
    assert (problem.parameter, problem.value) == ("password", "empty")
    assert "the Aluo API key (sk-...)" in problem.expected


@pytest.mark.parametrize("key", ["sk-a b", "sk-ä", "sk-a\nb", "sk-a\x00", "sk-\u200b"])
def test_a_key_that_no_header_can_hold_is_refused_unseen(key: str) -> None:
    error = refusal(password=key)
    assert error.problems[0].value == "(hidden)"
    assert key not in error.message


def test_blanks_around_a_pasted_key_are_not_part_of_it() -> None:
    assert account(password=f" {KEY}\n").api_key == KEY


def test_a_password_that_does_not_look_like_a_key_is_a_warning_that_does_not_quote_it() -> None:
    found = account(password="hunter2")
    (warning,) = found.warnings
    assert "does not begin with 'sk-'" in warning
    assert "hunter2" not in warning


@pytest.mark.parametrize(
    "host", ["http://api.aluo.ai/api", "http://10.0.0.1", "http://127.0.0.1.example.com"]
)
def test_a_key_that_travels_unencrypted_is_a_warning(host: str) -> None:
    (warning,) = account(host=host).warnings
    assert "unencrypted" in warning
    assert KEY not in warning


@pytest.mark.parametrize(
    "host", ["http://localhost:8080", "http://127.0.0.1:9", "http://[::1]:9", "https://a.b"]
)
def test_no_warning_where_nobody_can_listen(host: str) -> None:
    assert account(host=host).warnings == ()


@pytest.mark.parametrize(
    ("host", "port", "base_url"),
    [
        (None, None, DEFAULT_BASE_URL),
        ("", None, DEFAULT_BASE_URL),
        ("  ", 0, DEFAULT_BASE_URL),
        ("", 443, DEFAULT_BASE_URL),
        ("", 8443, "https://api.aluo.ai:8443/api"),
        ("aluo.ai/api", None, "https://aluo.ai/api"),
        ("https://aluo.ai/api", None, "https://aluo.ai/api"),
        ("https://aluo.ai/api/", None, "https://aluo.ai/api"),
        ("https://aluo.ai/api//", None, "https://aluo.ai/api"),
        ("HTTPS://aluo.ai", None, "https://aluo.ai"),
        (" https://aluo.ai ", None, "https://aluo.ai"),
        ("https://aluo.ai", 443, "https://aluo.ai"),
        ("http://aluo.ai", 80, "http://aluo.ai"),
        ("http://aluo.ai", 443, "http://aluo.ai:443"),
        ("https://aluo.ai", 8443, "https://aluo.ai:8443"),
        ("https://aluo.ai:8443", 8443, "https://aluo.ai:8443"),
        ("https://aluo.ai:8443/api", None, "https://aluo.ai:8443/api"),
        ("https://aluo.ai:8443/api", 0, "https://aluo.ai:8443/api"),
        ("https://aluo.ai:/api", 8443, "https://aluo.ai:8443/api"),
        ("https://aluo.ai:/api", None, "https://aluo.ai/api"),
        ("http://[::1]:8080/api", None, "http://[::1]:8080/api"),
        ("http://[::1]/api", 8080, "http://[::1]:8080/api"),
        ("localhost:8080", None, "https://localhost:8080"),
    ],
)
def test_each_form_of_a_host_gives_the_base_url(host: str | None, port: int | None, base_url: str) -> None:
    assert account(host=host, port=port).base_url == base_url


@pytest.mark.parametrize(
    "host",
    [
        "ftp://aluo.ai",
        "https://",
        "https:///api",
        "https://user@aluo.ai",
        "https://user:secret@aluo.ai",
        "https://@aluo.ai",
        "https://:secret@aluo.ai",
        "https://user:secret@[aluo.ai",
        "https://aluo.ai?token=secret",
        "aluo.ai?token=secret",
        "https://user:secret@aluo.ai?token=secret",
        "https://aluo.ai#secret-free",
        "https://aluo.ai:0",
        "https://aluo.ai:99999",
        "https://aluo.ai:https",
        "https://aluo .ai",
        "https://aluo.ai/a b",
        "https://aluo.ai/\ud800",
        "https://aluo\x00.ai",
        "https://aluo.ai\tx",
        "https://[::1",
        "https://\u2100.ai",
    ],
)
def test_a_host_that_is_no_base_url_is_refused_without_what_may_be_secret_in_it(host: str) -> None:
    error = refusal(host=host)
    (problem,) = error.problems
    assert problem.parameter == "host"
    assert DEFAULT_BASE_URL in problem.expected
    assert "secret@" not in error.message
    assert "=secret" not in error.message


def test_a_port_that_contradicts_the_host_is_refused() -> None:
    (problem,) = refusal(host="https://aluo.ai:8443", port=443).problems
    assert (problem.parameter, problem.value) == ("port", "443")
    assert "8443" in problem.expected


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    (problem,) = refusal(host="https://aluo.ai", port=port).problems
    assert (problem.parameter, problem.value) == ("port", str(port))


def test_neither_the_key_nor_the_proxys_credentials_are_in_the_repr() -> None:
    text = repr(account(proxy="http://user:secret@proxy.example"))
    assert KEY not in text
    assert "secret" not in text


@pytest.mark.parametrize("proxy", ["user:secret@proxy.example", ["http://user:secret@proxy.example"]])
def test_a_proxy_that_cannot_be_used_is_refused_unseen(proxy: Any) -> None:
    assert "secret" not in refusal(proxy=proxy).message


def test_nobodys_account_has_no_key() -> None:
    assert ANONYMOUS.api_key == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def account_or_refusal(**fields: Any) -> Account | AluoRequestInvalid:
    try:
        return read("aluo_default", **fields)
    except AluoRequestInvalid as error:
        return error


HOSTS = (
    st.none()
    | st.text()
    | st.builds("https://{}".format, st.text())
    | st.builds("{}:{}".format, st.text(), JSON)
)


@given(
    host=HOSTS,
    port=st.none() | st.integers(),
    password=st.none() | st.text() | st.just(KEY),
    extra=st.dictionaries(st.sampled_from(EXTRAS) | st.text(max_size=5), JSON, max_size=4),
)
@example(host=None, port=None, password=KEY, extra={"requests_per_minute": 10**400})
@example(host="https://\ud800", port=None, password=KEY, extra={})
def test_any_connection_gives_an_account_or_says_what_is_wrong_and_never_shows_the_key(
    host: str | None, port: int | None, password: str | None, extra: dict[str, Any]
) -> None:
    found = account_or_refusal(host=host, port=port, password=password, extra=extra)
    if isinstance(found, AluoRequestInvalid):
        assert found.problems
        assert KEY not in found.message
    else:
        assert found.base_url.startswith(("https://", "http://"))
        assert not found.base_url.endswith("/")
        assert KEY not in repr(found)
