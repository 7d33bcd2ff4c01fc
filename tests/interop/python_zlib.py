"""The C library zlib against echo_std, frame by frame: whatever one of the two makes of a stream, whole
or damaged, the other does too. Usage: python_zlib.py <echo_std>; see run.sh."""

import asyncio
import os
import random
import zlib

from harness import Process, check, equal, main

SEED = int(os.environ.get("SEED", "1"))
TAIL = b"\0\0\xff\xff"
REQUEST = (
    "GET /zlib HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)


def frames(dice, payload):
    """A compressed binary message in masked frames, cut anywhere."""
    cuts = sorted(dice.randrange(len(payload) + 1) for _ in range(dice.choice([0, 0, 1, 5])))
    pieces = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)])]
    for i, piece in enumerate(pieces):
        first = (0x42 if i == 0 else 0) | (0x80 if i == len(pieces) - 1 else 0)
        size = len(piece)
        if size < 126:
            head = bytes([first, 0x80 | size])
        elif size < 65536:
            head = bytes([first, 0xFE]) + size.to_bytes(2, "big")
        else:
            head = bytes([first, 0xFF]) + size.to_bytes(8, "big")
        yield head + bytes(4) + piece  # masked with zeros


async def frame(reader):
    first, size = await reader.readexactly(2)
    if size == 126:
        size = int.from_bytes(await reader.readexactly(2), "big")
    elif size == 127:
        size = int.from_bytes(await reader.readexactly(8), "big")
    return first, await reader.readexactly(size)


def data(dice):
    size = dice.choice([0, 1, 2, 10, 300, 5000, 40_000, 100_000])
    kind = dice.randrange(4)
    if kind == 0:
        return dice.randbytes(size)
    if kind == 1:
        return bytes([dice.randrange(256)]) * size
    words = [dice.randbytes(dice.randrange(1, 30)) for _ in range(dice.randrange(2, 50))]
    out = b""
    while len(out) < size:
        out += dice.choice(words) * (dice.randrange(1, 20) if kind == 2 else 1)
    return out[:size]


def compressor(dice, bits):
    strategies = [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED]
    level, memory = dice.randrange(10), dice.randrange(1, 10)
    return zlib.compressobj(level, zlib.DEFLATED, -bits, memory, dice.choice(strategies))


def deflate(dice, packer, message):
    """In pieces, with flushes of all kinds between them."""
    out, rest = b"", message
    while rest:
        size = dice.choice([len(rest), dice.randrange(1, len(rest) + 1)])
        out += packer.compress(rest[:size])
        rest = rest[size:]
        if rest and dice.random() < 0.5:
            out += packer.flush(dice.choice([zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_PARTIAL_FLUSH]))
    # A flush with nothing to flush gives nothing; then the tail would be that of the one before.
    out += packer.flush(zlib.Z_SYNC_FLUSH)
    return out[: -len(TAIL)] if out.endswith(TAIL) else out + b"\0"


async def body(echo_std):
    for options, bits in [([], 15), (["--takeover"], 15), (["--takeover", "--window-bits", "9"], 9)]:
        takeover = "--takeover" in options
        name = " ".join(["--deflate", *options])

        async with Process(echo_std, "--deflate", *options, "127.0.0.1:0") as server:
            port = int((await server.line(r"http://127.0.0.1:(\d+)")).group(1))

            async def connect():
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(REQUEST.encode())
                head = await reader.readuntil(b"\r\n\r\n")
                assert b"permessage-deflate" in head, head
                return reader, writer

            async def whole():
                for seed in range(20):
                    dice = random.Random(f"{SEED} {name} {seed}")
                    reader, writer = await connect()
                    packer, opener = compressor(dice, bits), zlib.decompressobj(-bits)
                    for _ in range(15):
                        if not takeover:
                            packer, opener = compressor(dice, bits), zlib.decompressobj(-bits)
                        message = data(dice)
                        for piece in frames(dice, deflate(dice, packer, message)):
                            writer.write(piece)
                        first, payload = await frame(reader)
                        if first == 0xC2:
                            payload = opener.decompress(payload + TAIL)
                        else:
                            equal(first, 0x82)
                        equal(payload == message, True)
                    writer.close()

            await check(f"zlib <-> echo_std {name}: 300 streams of every kind", whole)

            async def damaged():
                same = {True: 0, False: 0}
                for seed in range(300):
                    dice = random.Random(f"{SEED} damaged {name} {seed}")
                    reader, writer = await connect()
                    message = data(dice)[:5000]
                    payload = bytearray(deflate(dice, compressor(dice, bits), message))
                    for _ in range(dice.choice([1, 1, 2, 10])):
                        payload[dice.randrange(len(payload))] ^= 1 << dice.randrange(8)
                    opener = zlib.decompressobj(-15)
                    try:
                        expected = opener.decompress(payload + TAIL)
                        # Whether it ends at the boundary of a block: then this one is the last.
                        opener.decompress(b"\1" + TAIL)
                        if opener.eof and opener.unused_data:
                            writer.close()
                            continue  # a final block in the middle, where zlib stops
                        if not opener.eof:
                            expected = None
                    except zlib.error:
                        expected = None
                    for piece in frames(dice, bytes(payload)):
                        writer.write(piece)
                    first, got = await frame(reader)
                    if expected is None:
                        equal((first, got[:2]), (0x88, (1007).to_bytes(2, "big")))
                    else:
                        if first == 0xC2:
                            got = zlib.decompressobj(-15).decompress(got + TAIL)
                        equal(got == expected, True)
                    same[expected is None] += 1
                    writer.close()
                assert min(same.values()) > 20, same

            await check(f"zlib <-> echo_std {name}: 300 damaged streams", damaged)


main(body)
