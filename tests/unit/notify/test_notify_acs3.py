from services.notify.channels.acs3 import AccessKey, Call, signed_headers

# The worked example of the vendor's own description of the method.
EXAMPLE = Call(
    host="ecs.cn-shanghai.aliyuncs.com",
    action="RunInstances",
    version="2014-05-26",
    fields={
        "RegionId": "cn-shanghai",
        "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd",
    },
    date="2023-10-26T10:22:32Z",
    nonce="3156853299f313e23d1673dc12e1703d",
)
KEY = AccessKey("YourAccessKeyId", "YourAccessKeySecret")


def test_the_vendor_s_worked_example() -> None:
    assert signed_headers(EXAMPLE, KEY)["authorization"] == (
        "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,"
        "SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;"
        "x-acs-signature-nonce;x-acs-version,"
        "Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


def test_the_query_is_written_as_it_is_signed() -> None:
    call = Call("h", "a", "v", {"b": "路 灯+*/", "a": "~-_."}, "d", "n")
    assert call.query == "a=~-_.&b=%E8%B7%AF%20%E7%81%AF%2B%2A%2F"


def test_secret_and_fields_do_not_show() -> None:
    shown = f"{KEY!r} {Call('h', 'a', 'v', {'PhoneNumbers': '13812345678'}, 'd', 'n')!r}"
    assert "YourAccessKeySecret" not in shown
    assert "13812345678" not in shown
