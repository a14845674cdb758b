"""A body as every door reads it: no larger than it may be, and whole in time."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from services.chassis.http import Problem

DEADLINE_S = 10.0  # where a service has no setting of its own


async def read_body(request: Request, bytes_max: int, deadline_s: float) -> bytes:
    """Read a body of at most so many bytes.

    Raises:
        Problem: 413 where it is larger, 408 where it does not come whole in time, 415 where it is
            compressed.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        zh, en = "请发未压缩的正文，不带 Content-Encoding。", "Send the body uncompressed."
        raise Problem(415, "body_compressed", zh, en, field="Content-Encoding")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > bytes_max:
        raise too_large(bytes_max)
    body = bytearray()
    try:
        async with asyncio.timeout(deadline_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > bytes_max:
                    raise too_large(bytes_max)
    except (TimeoutError, ClientDisconnect) as error:
        zh, en = "正文没有收全，请重发。", "The body did not arrive whole: send again."
        raise Problem(408, "body_incomplete", zh, en) from error
    return bytes(body)


def too_large(limit: int) -> Problem:
    zh, en = f"正文超过 {limit} 字节。", f"The body is larger than {limit} bytes."
    return Problem(413, "body_too_large", zh, en, limit=limit)
