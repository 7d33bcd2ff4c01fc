"""Sends the probes to servers, and writes what happened. Usage: probe.py TABLE NAME=COMMAND...; see run.sh.

Each command serves on 127.0.0.1, prints its port, echoes, and ends when its input does. The first is ours,
which has to do what the RFC wants each time; what the others do is for the table.
"""

import shlex
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from probes import CLOSE, FAILURES, FIN, FRAMES, HANDSHAKES, PING, frame, request

# So long for an answer to what is complete; and for one to what is not, where silence is an answer.
PATIENCE = 10.0
SILENCE = 3.0


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
        """Opcode and payload of the next frame, which a server does not mask."""
        size = 2
        while True:
            if len(self.bytes) >= 2:
                length, size = self.bytes[1], 2
                if length >= 126:
                    size += 2 if length == 126 else 8
                    length = int.from_bytes(self.bytes[2:size], "big")
                size += length
                if len(self.bytes) >= size:
                    opcode, payload = self.bytes[0] & 15, self.bytes[size - length:size]
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
    """What came back: a list that ends with a close code, "end", "goes on" or "silence"."""
    with server.connect() as connection:
        reader = Reader(connection)
        send(connection, request())
        status = reader.head()
        if status != 101:
            raise RuntimeError(f"{server.name} answers {status} to a good request")
        send(connection, probe.sent)
        if probe.unfinished:
            connection.settimeout(SILENCE)
        else:
            send(connection, frame(FIN | PING, b"still there"))
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


def judge(probe, outcome):
    """How it is told, and whether it is right: None, "right", or "fitting" where the code fits too."""
    match probe.wanted:
        case "accepted":
            return str(outcome), "fitting" if outcome == 101 else None
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
    for what, verdicts in [("**as the RFC wants it**", ("right", "fitting")),
                           ("**and with the code or status that it names**", ("fitting",))]:
        sums = [sum(verdict in verdicts for _, verdict in column) for column in zip(*demanded)]
        lines.append(f"| {what} | | | " + " | ".join(f"{count} of {len(demanded)}" for count in sums) + " |")
    ours = [f"{probe.what}: {row[0][0]}" for probe, row in zip(probes, rows) if row[0][1] != "fitting"]
    return lines, ours


def main():
    path, *contestants = sys.argv[1:]
    servers = [Server(*contestant.split("=", 1)) for contestant in contestants]
    try:
        requests, first = table("Request", HANDSHAKES, servers, handshake)
        after, second = table("Frames", FRAMES, servers, frames)
    finally:
        for server in servers:
            server.end()
    with open(path, encoding="utf-8") as page:
        before = page.read()
    head, _, _ = before.partition("\n| ")
    now = head + "\n" + "\n".join([*requests, "", *after]) + "\n"
    with open(path, "w", encoding="utf-8") as page:
        page.write(now)
    print("\n".join([*requests[-2:], *after[-2:]]))
    if now != before:
        print(f"note: {path} was another before")
    for wrong in first + second:
        print(f"FAIL {servers[0].name}: {wrong}")
    sys.exit(bool(first + second))


main()
