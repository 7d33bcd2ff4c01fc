"""An echo client on `websockets` or `aiohttp`: for each line of its input, a URL and perhaps a subprotocol,
it opens a connection. Usage: client.py websockets|aiohttp."""

import asyncio
import sys

import aiohttp
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException


async def on_websockets(url, subprotocols):
    async with connect(url, subprotocols=subprotocols or None, compression=None, proxy=None) as connection:
        async for message in connection:
            await connection.send(message)


async def on_aiohttp(url, subprotocols):
    async with aiohttp.ClientSession() as session, session.ws_connect(url, protocols=subprotocols) as connection:
        async for message in connection:
            match message.type:
                case aiohttp.WSMsgType.TEXT:
                    await connection.send_str(message.data)
                case aiohttp.WSMsgType.BINARY:
                    await connection.send_bytes(message.data)


async def run(client, line):
    url, *subprotocols = line.split()
    try:
        await client(url, subprotocols)
    except (OSError, WebSocketException, aiohttp.ClientError) as error:
        # How it ends is what the other end sees.
        print(f"{url}: {error!r}", file=sys.stderr)


async def main():
    client = {"websockets": on_websockets, "aiohttp": on_aiohttp}[sys.argv[1]]
    under_way = set()
    while line := await asyncio.to_thread(sys.stdin.readline):
        task = asyncio.create_task(run(client, line))
        under_way.add(task)
        task.add_done_callback(under_way.discard)


asyncio.run(main())
