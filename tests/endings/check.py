"""The servers of examples/ at the end of connections, and under peers that make them hold memory.
Usage: check.py <folder of the programs>; see run.sh."""

import base64
import hashlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib

from wire import BINARY, DEFLATE, FIN, RSV1, TEXT, TIMEOUT, Frames, Http2, Stream, Tcp, close, frame, header

programs = sys.argv[1]
SERVERS = ["chat_tokio", "echo_std", "epoll_mio", "h2_server", "hyper_upgrade", "smol_echo"]
COMPRESSING = ["chat_tokio", "echo_std", "h2_server", "hyper_upgrade"]
ENDING_BY_SIGNAL = ["chat_tokio", "epoll_mio", "h2_server", "hyper_upgrade", "smol_echo"]

# How long a peer withholds its end of the transport, and how much of the processor that may cost; both in
# seconds. It is processor time, so a busy machine does not change it.
WITHHELD, MOST_CPU = 3, 0.1
# What a server may hold beside what it is configured to, and what that is; both in MiB.
BASE, CONFIGURED = 64, 64
PEERS = 40
LARGE = 16 << 20
FOR_LARGE_MESSAGES = ["--max-message", str(LARGE), "--max-queue", str(4 * LARGE)]
# The longest message of h2_server, and how many streams make up for that.
LARGE_ON_A_STREAM, STREAMS = 1 << 20, 100

passed = failed = 0


def check(name, problem):
    """Prints the line of a check, whose problem is a text or nothing."""
    global passed, failed
    passed, failed = passed + (not problem), failed + bool(problem)
    print(f"FAIL  {name}: {problem}" if problem else f"ok    {name}", flush=True)


class Program:
    """A process that ends with the block, and what it costs."""

    def __init__(self, name, *arguments):
        self.name = name
        path = f"{programs}/examples/{name}" if name == "echo_std" else f"{programs}/{name}"
        # What the allocator keeps of what each of many threads has given back is not what a server holds.
        environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([path, *arguments], text=True, env=environment, **pipes)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """The most that was resident, in MiB."""
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1)) >> 10


class Server(Program):
    def __init__(self, name, *options):
        if name == "chat_tokio":
            options = ("--open", "--rate", "1000000", *options)
        super().__init__(name, *options, "--memory", str(CONFIGURED), "127.0.0.1:0")
        self.port = int(re.search(r":(\d+)/$", self.process.stdout.readline()).group(1))

    def open(self, fields={}, room="a", http=None):
        if self.name == "h2_server":
            return Stream(http or Http2(self.port), "/echo", fields)
        paths = {"chat_tokio": f"/room/{room}?name=ada", "hyper_upgrade": "/echo"}
        return Tcp(self.port, paths.get(self.name, "/"), fields)


def at_once(work, items):
    """Does the work for all items, each in a thread of its own; the results in order."""
    results = [None] * len(items)

    def run(i, item):
        try:
            results[i] = work(item)
        except Exception as error:  # a peer may be cut off in any way
            results[i] = error

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(items)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def withheld_by_clients(name):
    """A peer that has closed, and does not end its side of the transport."""
    with Server(name) as server:
        ws = server.open()
        frames = Frames()
        ws.send(close(1000))
        while data := ws.receive():
            frames.feed(data)
        assert frames.close == 1000, f"its Close says {frames.close}"
        before = server.cpu()
        time.sleep(WITHHELD)
        return server.cpu() - before


def withheld_by_servers(program):
    """The same for programs that are clients: a server that breaks a rule, and leaves the rest to them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT)
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        with Program(program, url) as client:
            peer = listener.accept()[0]
            peer.settimeout(TIMEOUT)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += peer.recv(1)
            key = re.search(rb"Sec-WebSocket-Key: (\S+)", head).group(1)
            accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            fields = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept
            # Behind the response an opcode that there is none of.
            peer.sendall(b"HTTP/1.1 101 Switching Protocols\r\n" + fields + b"\r\n\r\n\x83\x00")
            while peer.recv(1 << 16):
                pass
            before = client.cpu()
            time.sleep(WITHHELD)
            return client.cpu() - before


def processor_time():
    for name, result in zip(SERVERS, at_once(withheld_by_clients, SERVERS)):
        check_cpu(f"{name}: a peer that has closed and withholds its FIN", result)
    clients = ["wscat", "load"]
    for name, result in zip(clients, at_once(withheld_by_servers, clients)):
        check_cpu(f"{name}: a server that broke a rule and withholds its FIN", result)


def check_cpu(who, cpu):
    told = f"{cpu:.2f}" if isinstance(cpu, float) else repr(cpu)
    check(f"{who}: {told} s of the processor in {WITHHELD} s", None if isinstance(cpu, float) and cpu <= MOST_CPU else f"above {MOST_CPU}")


def be_busy(ws, name, started):
    """Has messages on their way without a pause, and goes on until the server ends; what its Close said."""
    text = json.dumps({"type": "text", "text": "x" * 500}).encode()
    message, in_flight = frame(TEXT, text) * 8, 64
    # Four members of a room hear the other three; of an echo each hears itself.
    echoes = 3 if name == "chat_tokio" else 1
    frames, sent = Frames(), 0
    while frames.close is None:
        if sent - frames.count // echoes < in_flight:
            ws.send(message)
            sent += 8
        if frames.count > 10:
            started.release()
        data = ws.receive()
        if not data:
            return "an end without a Close"
        frames.feed(data)
    ws.send(close(frames.close))
    ws.end()
    while ws.receive():
        pass
    return frames.close


def told_when_the_server_ends():
    for name in ENDING_BY_SIGNAL:
        with Server(name) as server:
            peers = [server.open() for _ in range(4)]
            started = threading.Semaphore(0)

            def interrupt():
                for _ in range(1000):
                    started.acquire(timeout=TIMEOUT)
                server.process.send_signal(signal.SIGINT)

            threading.Thread(target=interrupt, daemon=True).start()
            codes = at_once(lambda ws: be_busy(ws, name, started), peers)
            try:
                status = server.process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                status = "none"
            problem = None if codes == [1001] * 4 and status == 0 else f"{codes!r}, exit status {status}"
            check(f"{name}: at Ctrl-C each of four busy peers gets a whole Close of 1001", problem)


def zeros(size):
    """The beginning of a compressed message of so many zeros, and of no end."""
    compress = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = compress.compress(bytes(size)) + compress.flush(zlib.Z_SYNC_FLUSH)
    return header(FIN | RSV1 | BINARY, len(data) + 1) + data


def is_served(server):
    """Whether somebody else has something back."""
    ws = server.open(room="other")
    ws.send(frame(TEXT, b"hello"))
    return len(ws.receive()) > 0


def codes_of(peers):
    """Those of the Closes that have come."""
    codes = []
    for ws in peers:
        frames = Frames()
        try:
            while select.select([ws.socket], [], [], 0)[0] and (data := ws.receive()):
                frames.feed(data)
        except OSError:
            pass
        codes.append(frames.close)
    return codes


def judge_memory(server, who, problem=None):
    memory, limit = server.memory(), BASE + CONFIGURED
    if memory > limit:
        problem = f"more than {limit} MiB"
    elif at_once(is_served, [server]) != [True]:
        problem = "nobody else is served"
    check(f"{server.name}: {who}: {memory} MiB", problem)


def attack_on_streams(server, who, message, fields):
    """As many as come to much, for messages there are smaller."""

    def attack(http):
        for _ in range(STREAMS):
            stream = server.open(fields, http=http)
            stream.reads = False
            stream.send(message)

    connections = [Http2(server.port) for _ in range(4)]
    errors = [error for error in at_once(attack, connections) if error]
    time.sleep(1)
    judge_memory(server, f"{4 * STREAMS} streams {who}", repr(errors) if errors else None)


def bombs():
    """Peers that send little, which is much, and do not end it."""
    options = {"chat_tokio": ["--deflate", *FOR_LARGE_MESSAGES], "echo_std": ["--deflate"]}
    for name in COMPRESSING:
        with Server(name, *options.get(name, [])) as server:
            if name == "h2_server":
                attack_on_streams(server, "of compressed zeros", zeros(LARGE_ON_A_STREAM), DEFLATE)
                continue
            bomb = zeros(LARGE)
            peers = [server.open(DEFLATE, room=f"r{i}") for i in range(PEERS)]
            at_once(lambda ws: ws.send(bomb), peers)
            time.sleep(1)
            # There is room for a few.
            codes = set(codes_of(peers))
            problem = None if codes == {1013, None} else f"Closes: {codes}"
            judge_memory(server, f"{PEERS} peers with {PEERS * len(bomb) >> 10} KiB of compressed zeros", problem)


def unread_echoes():
    """Peers that send, and do not read."""
    message = frame(BINARY, bytes(LARGE))
    for name in SERVERS:
        with Server(name, *(FOR_LARGE_MESSAGES if name == "chat_tokio" else [])) as server:
            if name == "h2_server":
                small = frame(BINARY, bytes(LARGE_ON_A_STREAM))
                attack_on_streams(server, "that do not read their echo of 1 MiB", small, {})
            elif name == "chat_tokio":
                rooms = [f"r{i}" for i in range(PEERS // 2)]
                readers, senders = ([server.open(room=room) for room in rooms] for _ in range(2))
                at_once(lambda ws: ws.send(2 * message), senders)
                time.sleep(1)
                judge_memory(server, f"{len(readers)} members that do not read 32 MiB each")
            else:
                peers = [server.open() for _ in range(PEERS)]
                at_once(lambda ws: ws.send(message), peers)
                time.sleep(1)
                judge_memory(server, f"{PEERS} peers that do not read their echo of 16 MiB")


def pages_of_others():
    with Server("chat_tokio") as server:
        port = server.port
        for host, origin, status in [
            (f"evil.example:{port}", f"http://evil.example:{port}", 403),
            (f"127.0.0.1:{port}", f"http://evil.example:{port}", 403),
            (f"127.0.0.1:{port}", f"http://127.0.0.1:{port}", 101),
            (f"localhost:{port}", f"http://localhost:{port}", 101),
            (f"127.0.0.1:{port}", None, 101),
        ]:
            fields = {"Host": host, **({"Origin": origin} if origin else {})}
            answer = server.open(fields).status
            check(f"chat_tokio --open: Host {host}, Origin {origin}: {status}", None if answer == status else answer)


processor_time()
told_when_the_server_ends()
bombs()
unread_echoes()
pages_of_others()
print(f"{passed} passed, {failed} failed")
# Threads of peers that were given up may still wait.
sys.stdout.flush()
os._exit(1 if failed else 0)
