"""The floor under intake: the same server and the same producer, and nothing between them."""

import argparse
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
import uvloop
from aiokafka import AIOKafkaProducer

from deploy.bench.bare_producer import bare_producer

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

OK, ACCEPTED = 200, 202
ANSWER = b'{"case_id": "00000000-0000-0000-0000-000000000000", "tracking_code": "BARE"}'
HEADERS = [(b"content-type", b"application/json")]


class BareIntake:
    """Answers 202 to any POST once every replica has its body; to a GET that it is there."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer, self._topic = producer, topic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        status = OK if scope["method"] == "GET" else ACCEPTED
        if status == ACCEPTED:
            key = dict(scope["headers"])[b"idempotency-key"]
            await self._producer.send_and_wait(self._topic, body, key=key)
        await send({"type": "http.response.start", "status": status, "headers": HEADERS})
        await send({"type": "http.response.body", "body": ANSWER})


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--port", required=True, type=int)
    given = parser.parse_args()
    producer = bare_producer(given.bootstrap)
    await producer.start()
    try:
        app = BareIntake(producer, given.topic)
        config = uvicorn.Config(
            app, port=given.port, lifespan="off", access_log=False, log_config=None
        )
        await uvicorn.Server(config).serve()
    finally:
        await producer.stop()


if __name__ == "__main__":
    uvloop.run(main())
