"""The expected texts and digests stand here as literals; the digests were made with openssl."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from deploy.sandbox.refusal import Refusal
from deploy.sandbox.signature import (
    Caller,
    SignedRequest,
    canonical_query,
    canonical_request,
    sign,
    string_to_sign,
    verify,
)

NOW = datetime(2026, 3, 3, 1, 30, tzinfo=UTC)
SECRETS = {"LTAIsandbox": "sandbox-secret"}
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SIX = "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version"

# As the provider's own documentation prints it.
DOCUMENTED = (
    "POST\n"
    "/\n"
    "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai\n"
    "host:ecs.cn-shanghai.aliyuncs.com\n"
    "x-acs-action:RunInstances\n"
    "x-acs-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
    "x-acs-date:2023-10-26T10:22:32Z\n"
    "x-acs-signature-nonce:3156853299f313e23d1673dc12e1703d\n"
    "x-acs-version:2014-05-26\n"
    "\n"
    "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version\n"
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

OURS = (
    "POST\n"
    "/\n"
    "OutId=a-1&PhoneNumbers=13800000012&SignName=%E5%90%B9%E5%93%A8&TemplateCode=SMS_1"
    "&TemplateParam=%7B%22matter%22%3A%22%E8%B7%AF%E7%81%AF%20%2B~%2A%22%7D\n"
    "host:127.0.0.1:8105\n"
    "x-acs-action:SendSms\n"
    "x-acs-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
    "x-acs-date:2026-03-03T01:30:00Z\n"
    "x-acs-signature-nonce:5b1c9c2e\n"
    "x-acs-version:2017-05-25\n"
    "\n"
    "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version\n"
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)
OURS_SIGNATURE = "fa7a52f68efa805c214728e35b2b4e29333d34645229e8745c5bc323a112dd48"

MORE_HEADERS = (
    "POST\n"
    "/\n"
    "PhoneNumbers=13800000012\n"
    "accept:application/json\n"
    "content-type:application/json\n"
    "host:dysmsapi.aliyuncs.com\n"
    "user-agent:adapter/1\n"
    "x-acs-action:SendSms\n"
    "x-acs-content-sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\n"
    "x-acs-date:2026-03-03T01:30:00Z\n"
    "x-acs-signature-nonce:5b1c9c2e\n"
    "x-acs-version:2017-05-25\n"
    "\n"
    "accept;content-type;host;user-agent;x-acs-action;x-acs-content-sha256;x-acs-date"
    ";x-acs-signature-nonce;x-acs-version\n"
    "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
)
MORE_SIGNATURE = "63ae2be0bce8a26cbf22f3d88b687d0d1c064a858b303563fd1d8cae9768d6cb"


def a_request(**changes: str) -> SignedRequest:
    """OURS as it comes over the wire: the blank as a plus, the fields in another order."""
    headers = {
        "host": "127.0.0.1:8105",
        "x-acs-action": "SendSms",
        "x-acs-content-sha256": EMPTY,
        "x-acs-date": "2026-03-03T01:30:00Z",
        "x-acs-signature-nonce": "5b1c9c2e",
        "x-acs-version": "2017-05-25",
        "authorization": authorization(SIX, OURS_SIGNATURE),
        "user-agent": "adapter/1",
    }
    named = {name.replace("_", "-"): value for name, value in changes.items()}
    return SignedRequest(
        method="POST",
        path="/",
        query="TemplateCode=SMS_1&TemplateParam=%7b%22matter%22%3A%22%E8%B7%AF%E7%81%AF+%2B%7E*%22%7D"
        "&SignName=%E5%90%B9%E5%93%A8&PhoneNumbers=13800000012&OutId=a-1",
        headers=as_lists(headers | named),
        body=b"",
    )


def as_lists(headers: Mapping[str, str]) -> dict[str, list[str]]:
    return {name: [value] for name, value in headers.items() if value}


def authorization(names: str, signature: str, key: str = "LTAIsandbox") -> str:
    return f"ACS3-HMAC-SHA256 Credential={key},SignedHeaders={names},Signature={signature}"


def code_of(outcome: Caller | Refusal) -> str:
    return outcome.code if isinstance(outcome, Refusal) else "OK"


def test_the_documented_example_is_signed_as_documented() -> None:
    assert string_to_sign(DOCUMENTED) == (
        "ACS3-HMAC-SHA256\n7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259"
    )
    signature = sign(string_to_sign(DOCUMENTED), "YourAccessKeySecret")
    assert signature == "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"


def test_the_canonical_request_does_not_depend_on_how_the_wire_wrote_it() -> None:
    assert canonical_request(a_request(), SIX.split(";")) == OURS


def test_a_right_signature_names_the_caller_and_the_nonce() -> None:
    assert verify(a_request(), SECRETS, NOW) == Caller("LTAIsandbox", "5b1c9c2e")


def test_whatever_signed_headers_names_is_covered_and_nothing_else() -> None:
    names = MORE_HEADERS.split("\n")[-2]
    headers = dict(line.split(":", 1) for line in MORE_HEADERS.split("\n")[3:12])
    headers["authorization"] = authorization(names, MORE_SIGNATURE)
    request = SignedRequest(
        "POST", "/", "PhoneNumbers=13800000012", as_lists(headers | {"via": "proxy"}), b"{}"
    )
    assert canonical_request(request, names.split(";")) == MORE_HEADERS
    assert code_of(verify(request, SECRETS, NOW)) == "OK"
    other_agent = replace(request, headers={**request.headers, "user-agent": ["adapter/2"]})
    assert code_of(verify(other_agent, SECRETS, NOW)) == "SignatureDoesNotMatch"
    assert code_of(verify(a_request(user_agent="other"), SECRETS, NOW)) == "OK"


@pytest.mark.parametrize(
    ("query", "canonical"),
    [
        pytest.param("", "", id="none"),
        pytest.param("b=2&a=1", "a=1&b=2", id="sorted-by-name"),
        pytest.param("a-b=2&a=1", "a=1&a-b=2", id="by-name-not-by-line"),
        pytest.param("a=&b", "a=&b=", id="empty-values-stay"),
        pytest.param("a=x+y%20z", "a=x%20y%20z", id="blank"),
        pytest.param("a=%7E-_.", "a=~-_.", id="unreserved-stay-bare"),
        pytest.param("a=!*'()/", "a=%21%2A%27%28%29%2F", id="all-else-is-encoded"),
        pytest.param("a=%F0%A0%AE%B7", "a=%F0%A0%AE%B7", id="beyond-the-basic-plane"),
    ],
)
def test_canonical_query(query: str, canonical: str) -> None:
    assert canonical_query(query) == canonical


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        pytest.param(replace(a_request(), query="OutId=a-2"), "SignatureDoesNotMatch", id="query"),
        pytest.param(replace(a_request(), method="PUT"), "SignatureDoesNotMatch", id="method"),
        pytest.param(replace(a_request(), path="/x"), "SignatureDoesNotMatch", id="path"),
        pytest.param(replace(a_request(), body=b"{}"), "SignatureDoesNotMatch", id="body"),
        pytest.param(a_request(host="elsewhere"), "SignatureDoesNotMatch", id="host"),
        pytest.param(replace(a_request(), query="a=%FF"), "InvalidParameter", id="no-utf-8"),
    ],
)
def test_a_changed_request_is_refused(request_: SignedRequest, code: str) -> None:
    assert code_of(verify(request_, SECRETS, NOW)) == code


def test_a_wrong_secret_is_refused_and_the_message_shows_our_side() -> None:
    refusal = verify(a_request(), {"LTAIsandbox": "other"}, NOW)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.status) == ("SignatureDoesNotMatch", 400)
    assert f"server CanonicalRequest is [{OURS}]" in refusal.message


def test_a_hash_of_another_body_is_refused_even_when_rightly_signed() -> None:
    canonical = OURS.replace(f"sha256:{EMPTY}", "sha256:abc")
    signature = sign(string_to_sign(canonical), "sandbox-secret")
    request = a_request(x_acs_content_sha256="abc", authorization=authorization(SIX, signature))
    assert code_of(verify(request, SECRETS, NOW)) == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        pytest.param("", "MissingAccessKeyId", id="none"),
        pytest.param(authorization(SIX, OURS_SIGNATURE, "other"), "InvalidAccessKeyId.NotFound"),
        pytest.param(authorization(SIX, "0" * 64), "SignatureDoesNotMatch", id="zeros"),
        pytest.param(authorization(SIX, OURS_SIGNATURE.upper()), "IncompleteSignature", id="upper"),
        pytest.param(authorization(SIX, "00"), "IncompleteSignature", id="short"),
        pytest.param(
            authorization(SIX, OURS_SIGNATURE).replace(",", ", "),
            "IncompleteSignature",
            id="blank-after-comma",
        ),
        pytest.param(
            authorization(SIX, OURS_SIGNATURE).replace("ACS3-HMAC-SHA256", "ACS3-HMAC-SM3"),
            "IncompleteSignature",
            id="other-algorithm",
        ),
        pytest.param(
            authorization(";".join(reversed(SIX.split(";"))), OURS_SIGNATURE),
            "IncompleteSignature",
            id="unsorted",
        ),
        pytest.param(
            authorization(SIX.replace("host", "Host"), OURS_SIGNATURE),
            "IncompleteSignature",
            id="upper-case-name",
        ),
        pytest.param(authorization(f"accept;{SIX}", "0" * 64), "IncompleteSignature", id="absent"),
        pytest.param(
            authorization(SIX.replace("x-acs-date;", ""), "0" * 64),
            "IncompleteSignature",
            id="date-not-signed",
        ),
        pytest.param(
            authorization(SIX.replace("host;", ""), "0" * 64),
            "IncompleteSignature",
            id="host-not-signed",
        ),
    ],
)
def test_an_authorization_that_is_not_quite_right_is_refused(header: str, code: str) -> None:
    assert code_of(verify(a_request(authorization=header), SECRETS, NOW)) == code


@pytest.mark.parametrize(
    "name", ["host", "x_acs_action", "x_acs_date", "x_acs_signature_nonce", "x_acs_version"]
)
def test_each_mandatory_header_is_asked_for(name: str) -> None:
    refusal = verify(a_request(**{name: ""}), SECRETS, NOW)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "MissingParameter"
    assert name.replace("_", "-") in refusal.message


def test_a_header_of_the_provider_that_is_not_signed_is_refused() -> None:
    request = a_request(x_acs_security_token="stolen")
    assert code_of(verify(request, SECRETS, NOW)) == "IncompleteSignature"


@pytest.mark.parametrize(
    ("late", "code"),
    [
        pytest.param(timedelta(minutes=15), "OK", id="just-in-time"),
        pytest.param(timedelta(minutes=-15), "OK", id="just-not-too-early"),
        pytest.param(timedelta(minutes=15, seconds=1), "InvalidTimeStamp.Expired", id="late"),
        pytest.param(timedelta(minutes=-15, seconds=-1), "InvalidTimeStamp.Expired", id="early"),
    ],
)
def test_the_date_may_be_a_quarter_of_an_hour_off(late: timedelta, code: str) -> None:
    assert code_of(verify(a_request(), SECRETS, NOW + late)) == code


@pytest.mark.parametrize("date", ["2026-03-03 01:30:00", "2026-03-03T01:30:00+08:00", "20260303"])
def test_a_date_in_another_form_is_refused(date: str) -> None:
    outcome = verify(a_request(x_acs_date=date), SECRETS, NOW)
    assert code_of(outcome) == "InvalidTimeStamp.Format"


def test_an_endless_nonce_is_refused() -> None:
    outcome = verify(a_request(x_acs_signature_nonce="n" * 257), SECRETS, NOW)
    assert code_of(outcome) == "InvalidParameter"
