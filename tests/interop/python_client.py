"""Python `websockets` as a client of echo_std. Usage: python_client.py <echo_std>; see run.sh."""

import asyncio
import os

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from harness import Process, check, equal, main


async def body(echo_std):
    async with Process(echo_std, "127.0.0.1:0") as server:
        address = (await server.line(r"http:(//\S+)")).group(1)

        def open(path="echo", **options):
            options = {"compression": None, "max_size": None, "proxy": None, **options}
            return connect(f"ws:{address}{path}", **options)

        async def echoes(ws, data):
            await ws.send(data)
            equal(await ws.recv(), data)

        async def run(what, test):
            await check(f"python websockets -> echo_std: {what}", test)

        async def text():
            async with open() as ws:
                for text in ["hello", "", "发送数据", "🦀 ünïcödé \0\n", "x" * 70_000]:
                    await echoes(ws, text)
            equal((ws.close_code, ws.close_reason), (1000, ""))

        await run("text, empty text, unicode", text)

        async def binary():
            async with open() as ws:
                for size in [0, 1, 125, 126, 127, 65_535, 65_536, 65_537]:
                    await echoes(ws, os.urandom(size))
                for size in [125, 126, 65_535, 65_536]:
                    await echoes(ws, "a" * size)

        await run("binary, at each boundary of the length's form", binary)

        async def large():
            async with open() as ws:
                await echoes(ws, os.urandom(1 << 20))

        await run("1 MiB binary", large)

        async def fragments():
            async with open() as ws:
                await ws.send(["frag", "", "ments: 发送", "数据"])
                equal(await ws.recv(), "fragments: 发送数据")
                parts = [os.urandom(1000) for _ in range(100)]
                await ws.send(parts)
                equal(await ws.recv(), b"".join(parts))

        await run("fragmented sends", fragments)

        async def between():
            async with open() as ws:
                sent = asyncio.Event()

                async def parts():
                    yield "before "
                    await (await ws.ping(b"between"))
                    sent.set()
                    yield "and after"

                await ws.send(parts())
                equal(await ws.recv(), "before and after")
                equal(sent.is_set(), True)

        await run("a ping between fragments", between)

        async def ping():
            async with open() as ws:
                for payload in [b"", b"ping", os.urandom(125)]:
                    await (await ws.ping(payload))  # ends when a pong brings this payload
                await ws.pong(b"unasked")
                await echoes(ws, "still there")

        await run("ping is answered with its payload", ping)

        async def close():
            for code, reason in [(1000, ""), (1001, "leaving"), (3001, "理由"), (4999, "r" * 123)]:
                async with open("py") as ws:
                    await ws.close(code, reason)
                equal((ws.protocol.close_sent.code, ws.protocol.close_rcvd.code), (code, code))
                equal(ws.protocol.close_rcvd_then_sent, False)
            await server.line(r'"/py" closed: 3001 "理由"')

        await run("close: each code comes back", close)

        async def violation():
            async with open() as ws:
                await ws.send(b"\xff", text=True)
                try:
                    await ws.recv()
                    assert False, "it was not closed"
                except ConnectionClosed as closed:
                    equal((closed.rcvd.code, closed.rcvd_then_sent), (1007, True))

        await run("text that is not UTF-8 is answered with 1007", violation)

        async def subprotocol():
            async with open(subprotocols=["chat.v2", "chat.v1"]) as ws:
                equal(ws.subprotocol, "chat.v2")
                await echoes(ws, "hello")

        await run("a subprotocol that is offered is agreed", subprotocol)

        async def compression():
            async with open(compression="deflate") as ws:
                equal(ws.request.headers["Sec-WebSocket-Extensions"][:18], "permessage-deflate")
                equal(ws.response.headers.get("Sec-WebSocket-Extensions"), None)
                await echoes(ws, "a" * 10_000)

        await run("compression that is offered is declined", compression)

        async def ticker():
            async with open("ticker") as ws:
                for _ in range(2):
                    assert (await ws.recv()).startswith("connected for ")
                await echoes(ws, "and an echo")

        await run("lines are pushed on /ticker", ticker)


main(body)
