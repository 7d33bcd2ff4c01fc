"""An echo client: reads ports, and connects to each on 127.0.0.1. Usage: connect.py websockets|aiohttp."""

import asyncio
import sys

import aiohttp
from websockets.asyncio.client import connect


async def with_websockets(url):
    async with connect(url, compression=None, proxy=None) as connection:
        async for message in connection:
            await connection.send(message)


async def with_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as connection:
        async for message in connection:
            match message.type:
                case aiohttp.WSMsgType.TEXT:
                    await connection.send_str(message.data)
                case aiohttp.WSMsgType.BINARY:
                    await connection.send_bytes(message.data)


async def main():
    converse = {"websockets": with_websockets, "aiohttp": with_aiohttp}[sys.argv[1]]
    while port := await asyncio.to_thread(sys.stdin.readline):
        try:
            await converse(f"ws://127.0.0.1:{port.strip()}/")
        except Exception as error:  # whatever the server did: the next one is waiting
            print(f"{type(error).__name__}: {error}", file=sys.stderr)


asyncio.run(main())
