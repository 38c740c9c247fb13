"""The broker of scripts/demo as a program: ``python -m tests.web.python_broker PORT``."""

import asyncio
import logging
import sys

from amqtt.broker import Broker

_ANYBODY = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}


async def _serve(port: int) -> None:
    listeners = {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}
    await Broker({"listeners": listeners, "plugins": _ANYBODY}).start()
    print("started", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    asyncio.run(_serve(int(sys.argv[1])))
