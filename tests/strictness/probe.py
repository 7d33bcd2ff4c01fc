"""Sends the probes to servers and to clients, and writes what happened.
Usage: probe.py TABLE SERVER=COMMAND... -- CLIENT=COMMAND...; see run.sh.

The command of a server serves on 127.0.0.1, prints its port, echoes, and ends when its input does. That of a
client opens a connection for each line of its input, a URL and perhaps a subprotocol, and echoes. The first
of each is ours, which has to do what the RFC wants each time; what the others do is for the table.
"""

import base64
import hashlib
import re
import shlex
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from probes import (
    ACCEPT, CLOSE, FAILURES, FIN, FRAMES_OF_A_CLIENT, FRAMES_OF_A_SERVER, PING, REQUESTS, RESPONSES, frame, masked,
    request, response,
)

# So long for an answer to what is complete; and for one to what is not, where silence is an answer.
PATIENCE = 10.0
SILENCE = 3.0
# So long after a pong for what its sender finds out later, when it reads the message.
GRACE = 1.0


class Server:
    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen(shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.port = int(self.process.stdout.readline())

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def end(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)


class Client:
    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen(shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, text=True)
        self.lock = threading.Lock()

    def accept(self, subprotocol):
        """A connection of the client, and what it has to be answered."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(PATIENCE)
            port = listener.getsockname()[1]
            line = f"ws://127.0.0.1:{port}/" + (f" {subprotocol}" if subprotocol else "")
            with self.lock:
                print(line, file=self.process.stdin, flush=True)
            connection, _ = listener.accept()
        connection.settimeout(PATIENCE)
        head = b""
        while b"\r\n\r\n" not in head:
            came = connection.recv(1 << 16)
            if not came:
                raise RuntimeError(f"{self.name} sends no request")
            head += came
        key = re.search(rb"(?i)\r\nsec-websocket-key: *([^\s]+)", head)[1]
        digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        return connection, base64.b64encode(digest)

    def end(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)


class Reader:
    """What comes of a connection; `None` where it ends, and "silence" where nothing comes in time."""

    def __init__(self, connection):
        self.connection = connection
        self.bytes = b""

    def more(self):
        try:
            came = self.connection.recv(1 << 16)
        except TimeoutError:
            return "silence"
        except OSError:
            return None
        self.bytes += came
        return came or None

    def head(self):
        while b"\r\n\r\n" not in self.bytes:
            came = self.more()
            if came in (None, "silence"):
                return came
        head, self.bytes = self.bytes.split(b"\r\n\r\n", 1)
        return int(head.split(b" ", 2)[1])

    def frame(self):
        """Opcode and payload of the next frame."""
        while (cut := self.cut()) is None:
            came = self.more()
            if came in (None, "silence"):
                return came
        return cut

    def cut(self):
        """The frame at the front, if it is whole."""
        if len(self.bytes) < 2:
            return None
        length, start = self.bytes[1] & 127, 2
        if length >= 126:
            start += 2 if length == 126 else 8
            length = int.from_bytes(self.bytes[2:start], "big")
        key = bytes(4)
        if self.bytes[1] & 128:
            key = self.bytes[start:start + 4]
            start += 4
        if len(self.bytes) < start + length:
            return None
        opcode, payload = self.bytes[0] & 15, masked(self.bytes[start:start + length], key)
        self.bytes = self.bytes[start + length:]
        return opcode, payload


def send(connection, data):
    try:
        connection.sendall(data)
    except OSError:
        pass  # It has had enough: what it said before is still to be read.


def handshake(server, probe):
    """A status, "end" or "silence"."""
    with server.connect() as connection:
        if probe.unfinished:
            connection.settimeout(SILENCE)
        send(connection, probe.sent)
        return {None: "end"}.get(status := Reader(connection).head(), status)


def frames(server, probe):
    """What came back: a list that ends with a close code, "end", "goes on" or "silence"."""
    with server.connect() as connection:
        reader = Reader(connection)
        send(connection, request())
        status = reader.head()
        if status != 101:
            raise RuntimeError(f"{server.name} answers {status} to a good request")
        send(connection, probe.sent)
        return seen(connection, reader, probe, frame(FIN | PING, b"still there"), GRACE)


def answer(client, probe):
    """The same, in answer to a response, with which a frame comes at once."""
    connection, accept = client.accept(probe.subprotocol)
    with connection:
        ping = b"" if probe.unfinished else frame(FIN | PING, b"still there", key=None)
        send(connection, probe.sent.replace(ACCEPT, accept) + ping)
        return seen(connection, Reader(connection), probe, b"", 0)


def frames_to(client, probe):
    """The same, in answer to frames behind a good response."""
    connection, accept = client.accept(None)
    with connection:
        send(connection, response().replace(ACCEPT, accept) + probe.sent)
        return seen(connection, Reader(connection), probe, frame(FIN | PING, b"still there", key=None), GRACE)


def seen(connection, reader, probe, ping, grace):
    """What comes of a connection; but for what is unfinished, a ping asks whether it goes on."""
    if probe.unfinished:
        connection.settimeout(SILENCE)
    else:
        send(connection, ping)
    came, last = [], "silence"
    while True:
        match reader.frame():
            case None:
                return [*came, "end"]
            case "silence":
                return [*came, last]
            case (opcode, payload) if opcode == CLOSE:
                return [*came, int.from_bytes(payload[:2], "big") if payload else "Close"]
            case (_, b"still there"):
                last = "goes on"
                if not grace:
                    return [*came, last]
                connection.settimeout(grace)
            case (_, payload):
                came.append(payload)


def judge(probe, outcome):
    """How it is told, and whether it is right: None, "right", or "fitting" where the code fits too."""
    match probe.wanted:
        case "accepted":
            return str(outcome), "fitting" if outcome == 101 else None
        case "refused":
            is_error = isinstance(outcome, int) and 400 <= outcome < 600
            return str(outcome), "fitting" if is_error else "right" if outcome == "end" else None
        case "opened":
            return {"goes on": "opens"}.get(outcome[-1], str(outcome[-1])), "fitting" if outcome == ["goes on"] else None
        case "failed":
            # R043: and sends nothing before it ends.
            return {"goes on": "opens"}.get(outcome[-1], str(outcome[-1])), "fitting" if outcome == ["end"] else None
        case [bytes(), *_]:
            *came, last = outcome
            right = came == probe.wanted and last == "goes on"
            return "echoed" if right else str(last), "fitting" if right else None
        case codes:
            *came, last = outcome
            code = {"Close": None}.get(last, last)
            is_failure = last == "end" or isinstance(last, int) and last >= 1002
            if came:
                # An echo: it took what was sent.
                return "goes on", None
            if code in codes:
                return str(last), "fitting"
            return str(last), "right" if is_failure and FAILURES.issuperset(codes) else None


def table(title, probes, servers, run):
    with ThreadPoolExecutor(8) as pool:
        rows = [[pool.submit(run, server, probe) for server in servers] for probe in probes]
        rows = [[judge(probe, job.result()) for job in row] for probe, row in zip(probes, rows)]
    lines = [f"| {title} | Rule | § | " + " | ".join(server.name for server in servers) + " |",
             "|---|---|---|" + "---|" * len(servers)]
    for probe, row in zip(probes, rows):
        cells = [text if verdict or probe.choice else f"**{text}**" for text, verdict in row]
        section = "a choice" if probe.choice else probe.section
        lines.append(f"| {probe.what} | {probe.row} | {section} | " + " | ".join(cells) + " |")
    demanded = [row for probe, row in zip(probes, rows) if not probe.choice]
    sums_of = [("**as the RFC wants it**", ("right", "fitting")),
               ("**and with the code or status that it names**", ("fitting",))]
    # A client that fails a handshake says nothing.
    for what, verdicts in sums_of[:1] if probes is RESPONSES else sums_of:
        sums = [sum(verdict in verdicts for _, verdict in column) for column in zip(*demanded)]
        lines.append(f"| {what} | | | " + " | ".join(f"{count} of {len(demanded)}" for count in sums) + " |")
    ours = [f"{probe.what}: {row[0][0]}" for probe, row in zip(probes, rows) if row[0][1] != "fitting"]
    return lines, ours


# What stands above the tables of clients.
CLIENTS = """## Clients

The same for clients that echo, also set up as their documentation shows, without compression. They get a response,
and a ping in the same write: `opens` is one that answers it, `end` one that ends the connection and sends nothing more,
as a client that fails a handshake must. Behind a good response they get the frames that servers got, without a mask.
Other protocols in the place of a response (`silence` is a client that waits for more of them) are a choice, for no RFC
says when to give up.

An empty `Sec-WebSocket-Protocol` is failed here though some servers send it: RFC 6455 §4.2.2 calls the empty string no
legal value. Of the browsers Chromium fails it too; Firefox ignores the field where it asked for no subprotocol, a name
in it as well, which §4.1 forbids."""


def start(kind, contestants):
    return [kind(*contestant.split("=", 1)) for contestant in contestants]


def main():
    path, *contestants = sys.argv[1:]
    middle = contestants.index("--")
    peers = []
    try:
        peers += (servers := start(Server, contestants[:middle]))
        requests, first = table("Request", REQUESTS, servers, handshake)
        after, second = table("Frames", FRAMES_OF_A_CLIENT, servers, frames)
        peers += (clients := start(Client, contestants[middle + 1:]))
        responses, third = table("Response", RESPONSES, clients, answer)
        behind, fourth = table("Frames", FRAMES_OF_A_SERVER, clients, frames_to)
    finally:
        for peer in peers:
            peer.end()
    with open(path, encoding="utf-8") as page:
        before = page.read()
    head, _, _ = before.partition("\n| ")
    tables = [*requests, "", *after, "", CLIENTS, "", *responses, "", *behind]
    now = head + "\n" + "\n".join(tables) + "\n"
    with open(path, "w", encoding="utf-8") as page:
        page.write(now)
    print("\n".join([*requests[-2:], *after[-2:], responses[-1], *behind[-2:]]))
    if now != before:
        print(f"note: {path} was another before")
    wrong = [(servers[0], what) for what in first + second] + [(clients[0], what) for what in third + fourth]
    for peer, what in wrong:
        print(f"FAIL {peer.name}: {what}")
    sys.exit(bool(wrong))


main()
