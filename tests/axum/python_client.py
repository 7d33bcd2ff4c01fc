"""Python `websockets` as guests of axum_chat. Usage: python_client.py <axum_chat>; see run.sh."""

import asyncio
import signal

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from harness import Process, check, equal, main


async def body(axum_chat):
    async with Process(axum_chat, "127.0.0.1:0") as server:
        address = (await server.line(r"http:(//\S+)")).group(1)

        def join(name, path="room", **options):
            options = {"max_size": None, "proxy": None, **options}
            return connect(f"ws:{address}{path}?name={name}", **options)

        async def run(what, test):
            await check(f"python websockets -> axum_chat: {what}", test)

        async def refused(status, **options):
            try:
                async with join("ada", **options):
                    raise AssertionError("accepted")
            except InvalidStatus as error:
                equal(error.response.status_code, status)

        async def closed(ws):
            """The Close that ends it, behind all that is still to be read."""
            while True:
                try:
                    await ws.recv()
                except ConnectionClosed as end:
                    return end.rcvd

        async def broadcast():
            async with join("ada", compression=None) as ada, join("bob") as bob:
                for text in ["hello", "", "发送数据 🦀", "x" * 60_000]:
                    await ada.send(text)
                    for ws in [ada, bob]:
                        equal(await ws.recv(), f"ada: {text}")
                await bob.send(bytes(range(256)))
                for ws in [ada, bob]:
                    equal(await ws.recv(), bytes(range(256)))
            equal((ada.close_code, bob.close_code), (1000, 1000))

        await run("what one says all hear, compressed or not", broadcast)

        async def agreed():
            async with join("ada", subprotocols=["chat.v2", "chat.v1"]) as ws:
                equal(ws.subprotocol, "chat.v1")
                equal([type(e).__name__ for e in ws.protocol.extensions], ["PerMessageDeflate"])
            async with join("ada", subprotocols=["chat.v2"]) as ws:
                equal(ws.subprotocol, None)

        await run("a subprotocol and compression are agreed on", agreed)

        async def many():
            async with asyncio.TaskGroup() as group:
                async def guest(name):
                    async with join(name) as ws:
                        await asyncio.sleep(0.5)  # until all are there
                        for n in range(5):
                            await ws.send(f"{n}")
                        heard = [await ws.recv() for _ in range(5 * 40)]
                        equal([line for line in heard if line.startswith(f"{name}:")], [f"{name}: {n}" for n in range(5)])
                for n in range(40):
                    group.create_task(guest(f"g{n}"))

        await run("forty guests hear all of each other, in order", many)

        async def ping():
            async with join("ada") as ws:
                for payload in [b"", b"ping", bytes(125)]:
                    await (await ws.ping(payload))
            equal(ws.close_code, 1000)

        await run("ping is answered with its payload", ping)

        async def too_big():
            async with join("ada", compression=None) as ws:
                await ws.send("x" * 70_000)
                equal((await closed(ws)).code, 1009)

        await run("a message that is too big is 1009", too_big)

        async def origins():
            await refused(403, origin="https://evil.example")
            async with join("ada", origin=f"http:{address.rstrip('/')}"):
                pass

        await run("a page of another site is refused", origins)
        await run("another path is 404", lambda: refused(404, path="none"))

        async def slow():
            async with join("slow", compression=None) as ws, join("ada", compression=None) as ada:
                ws.transport.pause_reading()
                for n in range(1500):
                    await ada.send("x" * 60_000)
                    await ada.recv()
                ws.transport.resume_reading()
                close = await closed(ws)
                equal((close.code, close.reason), (1013, "too slow"))

        await run("who reads too slowly holds up nobody, and is told so", slow)

        async def stop():
            async with join("ada") as ws:
                server.process.send_signal(signal.SIGINT)
                equal((await closed(ws)).code, 1001)
            equal(await server.status(), 0)

        await run("Ctrl-C closes what is open with 1001, and ends the server", stop)


main(body)
