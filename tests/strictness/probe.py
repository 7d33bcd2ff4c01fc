"""Sends the probes to servers and to clients, and writes what happened.

Usage: probe.py TABLE NAME=SERVER... -- NAME=CLIENT...; see run.sh.

Each server serves on 127.0.0.1, prints its port, echoes, and ends when its input does. Each client reads lines
with a port, connects to it on 127.0.0.1, offers no extension and no subprotocol, echoes, and ends when its input
does. The first of each is ours, which has to do what the RFC wants each time; what the others do is for the
table.
"""

import base64
import hashlib
import shlex
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from probes import (CLOSE, FAILURES, FIN, FRAMES_OF_A_CLIENT, FRAMES_OF_A_SERVER, HANDSHAKES, KEY, PING, PONG, RESPONSES,
                    Response, encode, masked, request, response)

# So long for an answer to what is complete; and for one to what is not, where silence is an answer.
PATIENCE = 10.0
SILENCE = 3.0
PAUSE = 0.2


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

    def connect(self, response):
        """The client connects, and gets the response: the connection."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(PATIENCE)
            self.process.stdin.write(f"{listener.getsockname()[1]}\n")
            self.process.stdin.flush()
            connection, _ = listener.accept()
        connection.settimeout(PATIENCE)
        head = Reader(connection).text()
        key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
        guid = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.split(b":")[1].strip() + guid).digest())
        send(connection, response.replace(b"KEY", accept))
        return connection

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

    def text(self):
        """A head."""
        while b"\r\n\r\n" not in self.bytes:
            came = self.more()
            if came in (None, "silence"):
                return came
        head, self.bytes = self.bytes.split(b"\r\n\r\n", 1)
        return head

    def head(self):
        """The status of a response."""
        head = self.text()
        return int(head.split(b" ", 2)[1]) if isinstance(head, bytes) else head

    def frame(self):
        """Opcode and payload of the next frame, masked or not."""
        while True:
            if len(self.bytes) >= 2:
                length, size = self.bytes[1] & 127, 2
                if length >= 126:
                    size += 2 if length == 126 else 8
                    length = int.from_bytes(self.bytes[2:size], "big")
                key = self.bytes[size:size + 4] if self.bytes[1] & 128 else bytes(4)
                size += length + (4 if self.bytes[1] & 128 else 0)
                if len(self.bytes) >= size:
                    opcode, payload = self.bytes[0] & 15, masked(self.bytes[size - length:size], key)
                    self.bytes = self.bytes[size:]
                    return opcode, payload
            came = self.more()
            if came in (None, "silence"):
                return came


def send(connection, data):
    try:
        connection.sendall(data)
    except OSError:
        pass  # It has had enough: what it said before is still to be read.


def handshake(server, probe):
    """A status, "end" or "silence"."""
    with server.connect() as connection:
        send(connection, probe.sent)
        return {None: "end"}.get(status := Reader(connection).head(), status)


def frames(server, probe):
    with server.connect() as connection:
        reader = Reader(connection)
        send(connection, request())
        status = reader.head()
        if status != 101:
            raise RuntimeError(f"{server.name} answers {status} to a good request")
        return seen_behind(connection, reader, probe, KEY)


def frames_to_client(client, probe):
    with client.connect(response()) as connection:
        return seen_behind(connection, Reader(connection), probe, None)


def seen_behind(connection, reader, probe, key):
    """What came back: a list that ends with a close code, "end", "goes on" or "silence"."""
    send(connection, probe.sent)
    if probe.unfinished:
        connection.settimeout(SILENCE)
    else:
        # Some answer pings before what came before them is looked at.
        time.sleep(PAUSE)
        send(connection, encode(FIN | PING, b"still there", key=key))
    seen = []
    while True:
        match reader.frame():
            case None:
                return [*seen, "end"]
            case "silence":
                return [*seen, "silence"]
            case (opcode, payload) if opcode == CLOSE:
                return [*seen, int.from_bytes(payload[:2], "big") if payload else "Close"]
            case (_, b"still there"):
                return [*seen, "goes on"]
            case (_, payload):
                seen.append(payload)


def responses(client, probe):
    """Whether the client is open: "accepted", "end" or "silence"."""
    with client.connect(probe.sent) as connection:
        if probe.unfinished:
            connection.settimeout(SILENCE)
        else:
            send(connection, encode(FIN | PING, b"still there"))
        match Reader(connection).frame():
            case (opcode, b"still there") if opcode == PONG:
                return "accepted"
            case "silence":
                return "silence"
            case _:
                return "end"


def judge(probe, outcome):
    """How it is told, and whether it is right: None, "right", or "fitting" where the code fits too."""
    match probe.wanted:
        case "accepted":
            return str(outcome), "fitting" if outcome in (101, "accepted") else None
        case "refused" if isinstance(probe, Response):
            return str(outcome), "fitting" if outcome == "end" else None
        case "refused":
            is_error = isinstance(outcome, int) and 400 <= outcome < 600
            return str(outcome), "fitting" if is_error else "right" if outcome == "end" else None
        case [bytes(), *_]:
            *seen, last = outcome
            right = seen == probe.wanted and last == "goes on"
            return "echoed" if right else str(last), "fitting" if right else None
        case codes:
            *seen, last = outcome
            code = {"Close": None}.get(last, last)
            is_failure = last == "end" or isinstance(last, int) and last >= 1002
            if seen:
                # Whether the echo or the pong is first is a matter of chance.
                return "goes on", None
            if code in codes:
                return str(last), "fitting"
            return str(last), "right" if is_failure and FAILURES.issuperset(codes) else None


def table(title, probes, ends, run):
    def of_all(end):
        # A server has any number of connections at a time, a client one.
        if isinstance(end, Client):
            return [run(end, probe) for probe in probes]
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda probe: run(end, probe), probes))

    with ThreadPoolExecutor(len(ends)) as pool:
        columns = list(pool.map(of_all, ends))
    rows = [[judge(probe, outcome) for outcome in row] for probe, row in zip(probes, zip(*columns))]
    lines = [f"| {title} | Rule | § | " + " | ".join(end.name for end in ends) + " |",
             "|---|---|---|" + "---|" * len(ends)]
    for probe, row in zip(probes, rows):
        cells = [text if verdict or probe.choice else f"**{text}**" for text, verdict in row]
        section = "a choice" if probe.choice else probe.section
        lines.append(f"| {probe.what} | {probe.row} | {section} | " + " | ".join(cells) + " |")
    demanded = [row for probe, row in zip(probes, rows) if not probe.choice]
    for what, verdicts in [("**as the RFC wants it**", ("right", "fitting")),
                           ("**and with the code or status that it names**", ("fitting",))]:
        sums = [sum(verdict in verdicts for _, verdict in column) for column in zip(*demanded)]
        lines.append(f"| {what} | | | " + " | ".join(f"{count} of {len(demanded)}" for count in sums) + " |")
    ours = [f"{probe.what}: {row[0][0]}" for probe, row in zip(probes, rows) if row[0][1] != "fitting"]
    return lines, ours


def main():
    path, *contestants = sys.argv[1:]
    split = contestants.index("--")
    servers, clients = contestants[:split], contestants[split + 1:]
    ends, tables, wrong = [], [], []
    try:
        for kind, commands, runs in [
            (Server, servers, [("Request", HANDSHAKES, handshake), ("Frames of a client", FRAMES_OF_A_CLIENT, frames)]),
            (Client, clients, [("Response", RESPONSES, responses),
                               ("Frames of a server", FRAMES_OF_A_SERVER, frames_to_client)]),
        ]:
            started = [kind(*command.split("=", 1)) for command in commands]
            ends += started
            for title, probes, run in runs:
                lines, ours = table(title, probes, started, run)
                tables.append(lines)
                wrong += [f"{title}: {what}" for what in ours]
    finally:
        for end in ends:
            end.end()
    with open(path, encoding="utf-8") as page:
        before = page.read()
    head, _, _ = before.partition("\n| ")
    now = head + "\n" + "\n\n".join("\n".join(lines) for lines in tables) + "\n"
    with open(path, "w", encoding="utf-8") as page:
        page.write(now)
    for lines in tables:
        print("\n".join([lines[0], *lines[-2:]]))
    if now != before:
        print(f"note: {path} was another before")
    for what in wrong:
        print(f"FAIL sockless: {what}")
    sys.exit(bool(wrong))


main()
