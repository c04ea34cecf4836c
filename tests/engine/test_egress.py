"""Which hosts flows may call, in whatever way their addresses are written."""

from __future__ import annotations

import pytest
from yarl import URL

from engine.egress import Egress, read_allowance
from engine.errors import NodeInputError

LOOPBACK = (
    "http://127.0.0.1/",
    "http://127.1/",
    "http://127.000.000.001/",
    "http://0177.0.0.1/",
    "http://0x7f.0.0.1/",
    "http://0x7f000001/",
    "http://2130706433/",
    "http://017700000001/",
    "http://127.0.0.1./",
    "http://127.255.255.254:8080/",
    "http://①②⑦.0.0.1/",
    "http://127。0。0。1/",
    "http://example.org@127.0.0.1/",
    "http://example.org:80@127.0.0.1:80/",
    "http://0.0.0.0/",
    "http://0/",
    "http://[::1]/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::7f00:1]/",
    "http://[64:ff9b::7f00:1]/",
)
INTERNAL = (
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://100.100.100.200/latest/meta-data/",
    "http://169.254.169.254/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://2852039166/",
    "http://[::ffff:169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::a00:1]/",
    "http://[2002:a00:1::]/",
    "http://[2002:7f00:1::1]/",
    "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "http://[fd00:ec2::254]/",
    "http://[fc00::1]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://198.18.0.1/",
    "http://203.0.113.9/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://METADATA.google.internal./",
)
PUBLIC = (
    "http://example.org/",
    "https://api.openai.com:8443/v1",
    "http://8.8.8.8/",
    "http://172.32.0.1/",
    "http://100.128.0.1/",
    "http://[2606:4700::1111]/",
    "http://[::ffff:8.8.8.8]/",
    "http://[64:ff9b::808:808]/",
)


@pytest.mark.parametrize("url", [*LOOPBACK, *INTERNAL])
def test_an_address_that_is_not_public_is_refused_with_the_way_out(url: str) -> None:
    with pytest.raises(NodeInputError, match="EGRESS_ALLOW="):
        Egress().check(URL(url))


@pytest.mark.parametrize("url", PUBLIC)
def test_a_public_host_may_be_called(url: str) -> None:
    Egress().check(URL(url))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/", "gopher://example.org/", "//example.org/"])
def test_only_http_goes_out(url: str) -> None:
    with pytest.raises(NodeInputError, match="must begin with http"):
        Egress(["0.0.0.0/0"]).check(URL(url))


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:5000/"),
        ("127.0.0.1/32", "http://127.0.0.1:5000/"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000/"),
        ("10.0.0.0/8", "http://10.1.2.3/"),
        ("[::1]:8080", "http://[::1]:8080/"),
        ("fd00::/8", "http://[fd00::5]/"),
        ("metadata.google.internal", "http://metadata.google.internal/"),
    ],
)
def test_what_the_administrator_allows_may_be_called(entry: str, url: str) -> None:
    Egress([entry]).check(URL(url))


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("127.0.0.1:5000", "http://127.0.0.1:5001/"),
        ("10.0.0.0/8", "http://192.168.0.1/"),
        ("localhost", "http://127.0.0.1/"),
        ("[::1]:8080", "http://[::1]/"),
    ],
)
def test_an_allowance_goes_no_further_than_it_says(entry: str, url: str) -> None:
    with pytest.raises(NodeInputError, match="EGRESS_ALLOW"):
        Egress([entry]).check(URL(url))


def test_an_odd_spelling_of_an_allowed_address_is_told_the_usual_one() -> None:
    with pytest.raises(NodeInputError, match=r"write 127\.0\.0\.1"):
        Egress(["127.0.0.1"]).check(URL("http://0x7f.1/"))


def test_a_name_that_the_administrator_allows_may_have_any_address() -> None:
    egress = Egress(["models.internal:8080"])

    assert egress.admits("Models.internal.", 8080, "10.0.0.5")
    assert not egress.admits("models.internal", 8081, "10.0.0.5")
    assert not egress.admits("other.internal", 8080, "10.0.0.5")


@pytest.mark.parametrize("entry", ["http://localhost", "localhost/8", "10.0.0.0/33", "a b", "host:port", "user@host"])
def test_an_allowance_that_is_none_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="is no host, host:port or network"):
        read_allowance(entry)


@pytest.mark.parametrize(
    "host",
    [
        *("a..b", ".a", "example.org..", "a b", "ex%61mple.org", "a" * 64 + ".org", "a." * 127 + "org", "a\0b"),
        *("1.2.3.4.5", "256.1.1.1", "08.8.8.8", "example.0x7f", "0xdeadbeefdeadbeef", "[v1.fe80:a]"),
    ],
)
def test_what_no_host_can_be_called_is_refused(host: str) -> None:
    with pytest.raises(NodeInputError, match="no name that a host can have"):
        Egress().check(URL(f"http://{host}/"))
