"""A peer that sends and does not read, against an echo server: the server stops reading from it, others
are served meanwhile, and everything is there once it reads. Usage: slow_reader.py <port> <pid>; see run.sh."""

import os
import socket
import sys

TIMEOUT = 60
REQUEST = (
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()
SIZE = 60_000
LIMIT = 256 << 20


def connect(port):
    peer = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    peer.sendall(REQUEST)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += peer.recv(1) or sys.exit("FAIL  the server went in the handshake")
    return peer


def message(number):
    return number.to_bytes(4, "big") * (SIZE // 4)


def receive(peer, size):
    data = b""
    while len(data) < size:
        data += peer.recv(size - len(data)) or sys.exit("FAIL  the server went before all was echoed")
    return data


def echoed(peer, number):
    # The header of a server's binary message of this size, in the 16-bit form.
    return receive(peer, 4) == b"\x82\x7e" + SIZE.to_bytes(2, "big") and receive(peer, SIZE) == message(number)


def memory(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10


port, pid = int(sys.argv[1]), int(sys.argv[2])
peer = connect(port)
before = memory(pid)
head = b"\x82\xfe" + SIZE.to_bytes(2, "big") + bytes(4)  # masked with zeros

# Until the server has not taken anything for two seconds.
sent, pending = 0, b""
peer.settimeout(2)
while sent * SIZE < LIMIT:
    pending = pending or head + message(sent)
    try:
        pending = pending[peer.send(pending):]
    except TimeoutError:
        break
    sent += not pending
peer.settimeout(TIMEOUT)
stopped = sent * SIZE < LIMIT
print("ok  " if stopped else "FAIL", f" a peer that reads nothing is not read from: {sent * SIZE >> 10} KiB were taken")

grown = memory(pid) - before
print("ok  " if grown < 2 << 20 else "FAIL", f" and costs the server {grown >> 10} KiB of its memory")

other = connect(port)
other.sendall(head + message(7))
served = echoed(other, 7)
print("ok  " if served else "FAIL", " others are served meanwhile")

same = all(echoed(peer, number) for number in range(sent))
if pending:
    peer.sendall(pending)
    same = same and echoed(peer, sent)
print("ok  " if same else "FAIL", " all of it comes back once the peer reads")
os._exit(0 if stopped and grown < 2 << 20 and served and same else 1)
