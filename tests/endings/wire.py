"""What check.py speaks: WebSocket frames, over TCP and over streams of HTTP/2."""

import socket
import ssl
import struct

TIMEOUT = 20
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
DEFLATE = {"Sec-WebSocket-Extensions": "permessage-deflate"}
TEXT, BINARY, CLOSE, FIN, RSV1 = 0x1, 0x2, 0x8, 0x80, 0x40


def header(first, size):
    """A client's, masked with zeros."""
    if size < 126:
        return bytes([first, 0x80 | size]) + bytes(4)
    if size < 1 << 16:
        return struct.pack(">BBH", first, 0x80 | 126, size) + bytes(4)
    return struct.pack(">BBQ", first, 0x80 | 127, size) + bytes(4)


def frame(opcode, payload):
    return header(FIN | opcode, len(payload)) + payload


def close(code):
    return frame(CLOSE, struct.pack(">H", code))


class Frames:
    """Takes what a server sends; `close` is the code of a Close that came whole."""

    def __init__(self):
        self.rest, self.count, self.close = bytearray(), 0, None

    def feed(self, data):
        self.rest += data
        while len(self.rest) >= 2:
            size, at = self.rest[1] & 0x7F, 2
            if size >= 126:
                at = 4 if size == 126 else 10
                if len(self.rest) < at:
                    return
                size = int.from_bytes(self.rest[2:at], "big")
            if len(self.rest) < at + size:
                return
            if self.rest[0] & 0xF == CLOSE:
                self.close = int.from_bytes(self.rest[at : at + 2], "big")
            self.count += 1
            del self.rest[: at + size]


class Tcp:
    """A WebSocket on a TCP connection of its own."""

    def __init__(self, port, path, fields={}):
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        asked = {
            "Host": f"127.0.0.1:{port}", "Upgrade": "websocket", "Connection": "Upgrade",
            "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13", **fields,
        }
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in asked.items()), "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1)
            if not byte:
                raise ConnectionError("the server went in the handshake")
            head += byte
        self.status = int(head.split()[1])

    def send(self, data):
        self.socket.sendall(data)

    def receive(self, size=1 << 16):
        """Nothing at the end of the transport."""
        return self.socket.recv(size)

    def end(self):
        self.socket.shutdown(socket.SHUT_WR)

    def drop(self):
        self.socket.close()


# The types of frames of HTTP/2, and flags.
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK = END_STREAM = 0x1
END_HEADERS = 0x4


class Http2:
    """A connection, of which each stream can be a WebSocket."""

    def __init__(self, port):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port), TIMEOUT))
        self.window, self.first_window, self.streams, self.next = 65_535, 65_535, {}, 1
        self.read = bytearray()
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.put(SETTINGS, 0, 0, b"")
        self.put(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 30))
        self.is_ready = False
        while not self.is_ready:
            self.step()

    def put(self, kind, flags, stream, payload):
        self.socket.sendall(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload)

    def take(self, size):
        while len(self.read) < size:
            data = self.socket.recv(1 << 16)
            if not data:
                raise ConnectionError("the server ended the connection")
            self.read += data
        taken = bytes(self.read[:size])
        del self.read[:size]
        return taken

    def step(self):
        """Takes one frame."""
        head = self.take(9)
        payload = self.take(int.from_bytes(head[:3], "big"))
        kind, flags, stream = head[3], head[4], self.streams.get(int.from_bytes(head[5:], "big"))
        if kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                name, value = struct.unpack(">HI", payload[at : at + 6])
                if name == 4:
                    self.first_window = value
            self.put(SETTINGS, ACK, 0, b"")
            self.is_ready = True
        elif kind == PING and not flags & ACK:
            self.put(PING, ACK, 0, payload)
        elif kind == WINDOW_UPDATE:
            to = stream or self
            to.window += int.from_bytes(payload, "big")
        elif stream is not None:
            stream.on_frame(kind, flags, payload)


class Stream:
    """A WebSocket on a stream."""

    def __init__(self, http, path, fields={}, reads=True):
        self.http, self.id, self.reads = http, http.next, reads
        http.next += 2
        http.streams[self.id] = self
        self.window, self.data, self.status = http.first_window, bytearray(), None
        self.is_ended = self.is_reset = False
        asked = {
            ":method": "CONNECT", ":protocol": "websocket", ":scheme": "https", ":authority": "localhost",
            ":path": path, "sec-websocket-version": "13", **{name.lower(): value for name, value in fields.items()},
        }
        literal = lambda text: bytes([len(text)]) + text.encode()
        block = b"".join(b"\0" + literal(name) + literal(value) for name, value in asked.items())
        http.put(HEADERS, END_HEADERS, self.id, block)

    def on_frame(self, kind, flags, payload):
        if kind == HEADERS:
            self.status = 200 if payload[:1] == b"\x88" else 0  # 200 is entry 8 of the static table
        elif kind == DATA:
            self.data += payload
            if self.reads and payload and not flags & END_STREAM:
                self.http.put(WINDOW_UPDATE, 0, self.id, struct.pack(">I", len(payload)))
        elif kind == RST_STREAM:
            self.is_reset = True
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            self.is_ended = True

    def is_over(self):
        return self.is_ended or self.is_reset

    def send(self, data):
        view = memoryview(data)
        while view and not self.is_over():
            n = min(len(view), self.window, self.http.window, 16_384)
            if n <= 0:
                self.http.step()
                continue
            self.http.put(DATA, 0, self.id, bytes(view[:n]))
            self.window -= n
            self.http.window -= n
            view = view[n:]

    def receive(self, size=1 << 16):
        while not self.data and not self.is_over():
            self.http.step()
        if not self.data and self.is_reset:
            raise ConnectionResetError("the stream was reset")
        data = bytes(self.data[:size])
        del self.data[:size]
        return data

    def end(self):
        self.http.put(DATA, END_STREAM, self.id, b"")

    def drop(self):
        self.http.socket.close()


