"""What is sent, and what RFC 6455 wants to happen. The numbers are those of docs/conformance.md."""

import base64
from dataclasses import dataclass, field

FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = bytes([0x11, 0x22, 0x33, 0x44])


def masked(data, key=KEY):
    return bytes(byte ^ key[i % 4] for i, byte in enumerate(data))


def encode(first, payload=b"", *, length=None, key=None):
    """A frame, masked if there is a key; `length`, if given, is the length field as it is, without the mask bit."""
    if length is None:
        size = len(payload)
        if size < 126:
            length = bytes([size])
        elif size < 1 << 16:
            length = bytes([126]) + size.to_bytes(2, "big")
        else:
            length = bytes([127]) + size.to_bytes(8, "big")
    if key is None:
        return bytes([first]) + length + payload
    return bytes([first, 0x80 | length[0]]) + length[1:] + key + masked(payload, key)


@dataclass(frozen=True)
class Probe:
    row: str
    section: str
    what: str
    sent: bytes
    # What may happen: a close code, "end" (the connection ends), "refused" (a status of 4xx or 5xx, or the
    # end), "accepted" (101), or the messages that come back.
    wanted: object
    # Nothing follows: what is wrong can only be seen in what has arrived.
    unfinished: bool = False
    # No RFC demands it: the strictest that is allowed. It does not count.
    choice: bool = False


# The codes of failures: where one of these is wanted, an end without a code is a refusal too.
FAILURES = {1002, 1007, 1009}
PROTOCOL_ERROR = [1002]
NOT_UTF8 = [1007]

def frame_probes(key):
    """Frames as the end sends them that masks with `key`, or does not mask."""

    def frame(first, payload=b"", *, length=None):
        return encode(first, payload, length=length, key=key)

    def close(code, reason=b""):
        return frame(FIN | CLOSE, code.to_bytes(2, "big") + reason)

    def wrong(first, payload=b""):
        return encode(first, payload, key=None if key else KEY)

    def piece(payload):
        return masked(payload, key) if key else payload

    mask_row, wrongly = ("R122", "without a mask") if key else ("R123", "with a mask")
    probes = [
        Probe("R120", "5.2", "RSV1 without an extension", frame(FIN | RSV1 | TEXT, b"x"), PROTOCOL_ERROR),
        Probe("R120", "5.2", "RSV2 on a ping", frame(FIN | RSV2 | PING), PROTOCOL_ERROR),
        Probe("R120", "5.2", "RSV3 on an empty message", frame(FIN | RSV3 | BINARY), PROTOCOL_ERROR),
        Probe("R121", "5.2", "a reserved data opcode, 3", frame(FIN | 3, b"x"), PROTOCOL_ERROR),
        Probe("R121", "5.2", "a reserved control opcode, 11, empty", frame(FIN | 11), PROTOCOL_ERROR),
        Probe(mask_row, "5.1", f"a message {wrongly}", wrong(FIN | TEXT, b"x"), PROTOCOL_ERROR),
        Probe(mask_row, "5.1", f"an empty ping {wrongly}", wrong(FIN | PING), PROTOCOL_ERROR),
        Probe("R124", "5.2", "5 bytes, their length in 16 bits",
              frame(FIN | TEXT, b"hello", length=b"\x7e\x00\x05"), PROTOCOL_ERROR),
        Probe("R125", "5.2", "5 bytes, their length in 64 bits",
              frame(FIN | TEXT, b"hello", length=b"\x7f" + (5).to_bytes(8, "big")), PROTOCOL_ERROR),
        Probe("R125", "5.2", "65,535 bytes, their length in 64 bits",
              frame(FIN | BINARY, bytes(65535), length=b"\x7f" + (65535).to_bytes(8, "big")), PROTOCOL_ERROR),
        Probe("R126", "5.2", "a length with its top bit set", frame(FIN | BINARY, length=b"\x7f\x80" + bytes(6) + b"\x01"),
              [1002, 1009], unfinished=True),
        Probe("R127", "10.4", "a length of 2^62, before any of it comes", frame(FIN | BINARY, length=b"\x7f\x40" + bytes(7)),
              [1009, 1002], unfinished=True),
        Probe("R130", "5.5", "a ping of 126 bytes", frame(FIN | PING, bytes(126)), PROTOCOL_ERROR),
        Probe("R130", "5.5", "a Close of 126 bytes", frame(FIN | CLOSE, b"\x03\xe8" + b"x" * 124), PROTOCOL_ERROR),
        Probe("R131", "5.5", "a ping in fragments", frame(PING, b"a"), PROTOCOL_ERROR),
        Probe("R150", "5.4", "a continuation of nothing", frame(FIN | CONTINUATION, b"x"), PROTOCOL_ERROR),
        Probe("R151", "5.4", "a message inside a message", frame(TEXT, b"a") + frame(FIN | TEXT, b"b"), PROTOCOL_ERROR),
        Probe("R151", "5.4", "a message inside one that is still empty", frame(TEXT) + frame(FIN | TEXT, b"b"), PROTOCOL_ERROR),
        Probe("R230", "8.1", "a text that is not UTF-8", frame(FIN | TEXT, b"\xff"), NOT_UTF8),
        Probe("R234", "8.1", "a surrogate", frame(FIN | TEXT, b"\xed\xa0\x80"), NOT_UTF8),
        Probe("R234", "8.1", "an overlong form", frame(FIN | TEXT, b"\xc0\xaf"), NOT_UTF8),
        Probe("R234", "8.1", "a code point above U+10FFFF", frame(FIN | TEXT, b"\xf4\x90\x80\x80"), NOT_UTF8),
        Probe("R232", "5.6", "a text that ends inside a code point", frame(FIN | TEXT, b"\xe2\x82"), NOT_UTF8),
        Probe("R232", "5.6", "the same, the last fragment empty", frame(TEXT, b"\xe2\x82") + frame(FIN), NOT_UTF8),
        Probe("R233", "8.1", "a bad byte in a fragment, the message unfinished", frame(TEXT, b"ok\xff"), NOT_UTF8,
              unfinished=True, choice=True),
        Probe("R233", "8.1", "a bad byte in a frame, the frame unfinished",
              frame(FIN | TEXT, length=b"\x64") + piece(b"ok\xff"), NOT_UTF8, unfinished=True, choice=True),
        Probe("R210", "5.5.1", "a Close of one byte", frame(FIN | CLOSE, b"\x03"), PROTOCOL_ERROR),
        Probe("R212", "5.5.1", "a reason that is not UTF-8", close(1000, b"\xff"), [1007, 1002]),
        Probe("R213", "7.4.1", "Close 1005", close(1005), PROTOCOL_ERROR),
        Probe("R213", "7.4.1", "Close 1006", close(1006), PROTOCOL_ERROR),
        Probe("R213", "7.4.1", "Close 1015", close(1015), PROTOCOL_ERROR),
        Probe("R214", "7.4.2", "Close 999", close(999), PROTOCOL_ERROR),
        Probe("R217", "7.4.2", "Close 2000, which means nothing yet", close(2000), PROTOCOL_ERROR, choice=True),
        Probe("R219", "7.4.2", "Close 5000", close(5000), PROTOCOL_ERROR, choice=True),
        Probe("R190", "5.5.1", "Close 1000 is answered", close(1000), [1000]),
        Probe("R211", "5.5.1", "a Close without a body is answered", frame(FIN | CLOSE), [None, 1000]),
        Probe("R216", "7.4.2", "Close 1012 is answered", close(1012), [1012, 1000]),
        Probe("R218", "7.4.2", "Close 4999 is answered", close(4999), [4999, 1000]),
        Probe("R152", "5.4", "a ping between fragments", frame(TEXT, b"a") + frame(FIN | PING, b"p") + frame(FIN, b"b"),
              [b"p", b"ab"]),
        Probe("R153", "5.4", "empty fragments", frame(TEXT) + frame(CONTINUATION, b"x") + frame(FIN), [b"x"]),
        Probe("R154", "5.6", "an empty message", frame(FIN | TEXT), [b""]),
        Probe("R231", "5.6", "a code point cut by a fragment", frame(TEXT, b"\xe2\x82") + frame(FIN, b"\xac"),
              ["€".encode()]),
        Probe("R235", "8.1", "NUL, BOM and U+10FFFF in a text", frame(FIN | TEXT, "\0\ufeff\U0010ffff".encode()),
              ["\0\ufeff\U0010ffff".encode()]),
    ]
    if key:
        zeros = encode(FIN | TEXT, b"x", key=bytes(4))
        probes.append(Probe("R142", "5.3", "a mask of zeros", zeros, [b"x"]))
    return probes


FRAMES_OF_A_CLIENT = frame_probes(KEY)
FRAMES_OF_A_SERVER = frame_probes(None)

NONCE = base64.b64encode(bytes(range(16))).decode()


@dataclass
class Request:
    line: str = "GET / HTTP/1.1"
    fields: dict = field(default_factory=lambda: {
        "Host": "127.0.0.1", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": NONCE,
    })
    more: str = ""

    def bytes(self):
        lines = [f"{name}: {value}\r\n" for name, value in self.fields.items() if value is not None]
        return (f"{self.line}\r\n" + "".join(lines) + self.more + "\r\n").encode("latin-1")


def request(line="GET / HTTP/1.1", more="", **changed):
    """A good request, with fields changed, or left out where they are `None`."""
    good = Request(line=line, more=more)
    good.fields |= {name.replace("_", "-"): value for name, value in changed.items()}
    return good.bytes()


def refused(row, section, what, *args, choice=False, **changed):
    return Probe(row, section, what, request(*args, **changed), "refused", choice=choice)


def accepted(row, section, what, *args, **changed):
    return Probe(row, section, what, request(*args, **changed), "accepted")


KEY_NAME, VERSION, LISTS = "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Extensions"
HANDSHAKES = [
    refused("R061", "4.2.1", "POST", "POST / HTTP/1.1"),
    refused("R062", "4.2.1", "HTTP/1.0", "GET / HTTP/1.0"),
    refused("R064", "4.2.1", "no Host", Host=None),
    refused("R064", "RFC 9112 3.2", "two Hosts", more="Host: b\r\n"),
    refused("R064", "RFC 9112 3.2", "a Host with a space", Host="a b"),
    refused("R065", "4.2.1", "no Upgrade", Upgrade=None),
    refused("R066", "4.2.1", "no Connection", Connection=None),
    refused("R066", "4.2.1", "Connection: close", Connection="close"),
    refused("R067", "4.2.1", "no key", **{KEY_NAME: None}),
    refused("R067", "4.2.1", "an empty key", **{KEY_NAME: ""}),
    refused("R067", "4.2.1", "a key of 15 bytes", **{KEY_NAME: base64.b64encode(bytes(15)).decode()}),
    refused("R067", "4.2.1", "a key that is not base64", **{KEY_NAME: "!" * 22 + "=="}),
    refused("R068", "11.3.1", "two keys", more=f"{KEY_NAME}: {NONCE}\r\n"),
    refused("R070", "4.2.1", "version 8", **{VERSION: "8"}),
    refused("R071", "4.3", "version 013", **{VERSION: "013"}),
    refused("R071", "4.2.1", "no version", **{VERSION: None}),
    refused("R072", "4.3", "a subprotocol that is no token", more="Sec-WebSocket-Protocol: a b\r\n"),
    refused("R074", "9.1", "an extension with an unclosed quote", more=f'{LISTS}: a; b="c\r\n'),
    refused("R074", "9.1", "an extension without a name", more=f"{LISTS}: ;b\r\n"),
    refused("R079", "RFC 9110 7.8", "a request with a body, before the body", more="Content-Length: 5\r\n", choice=True),
    refused("R079", "RFC 9110 7.8", "the same, chunked", more="Transfer-Encoding: chunked\r\n",
            choice=True),
    refused("R081", "RFC 9112 5.1", "a space before a colon", more="X : y\r\n"),
    refused("R081", "RFC 9112 5.2", "a folded line", more="X: y\r\n z\r\n"),
    refused("R081", "RFC 9110 5.5", "NUL in a value", more="X: \0\r\n"),
    refused("R081", "RFC 9112 2.2", "a bare CR", more="X: a\rb\r\n"),
    accepted("R063", "4.2.1", "a target in absolute form", "GET http://127.0.0.1/ HTTP/1.1"),
    accepted("R066", "4.2.1", "Connection: keep-alive, Upgrade", Connection="keep-alive, Upgrade"),
    accepted("R065", "4.2.1", "Upgrade: WebSocket", Upgrade="WebSocket"),
    accepted("R072", "4.2.1", "subprotocols that nobody knows", more="Sec-WebSocket-Protocol: a, b\r\n"),
    accepted("R074", "9.1", "an extension that nobody knows", more=f'{LISTS}: x-unknown; a="b"\r\n'),
    accepted("R075", "4.2.1", "fields that nobody knows", more="X-Unknown: \xe9\r\n"),
]


@dataclass(frozen=True)
class Response:
    """How a server answers: `KEY` in it stands for the value of `Sec-WebSocket-Accept` that the request wants."""

    row: str
    section: str
    what: str
    sent: bytes
    # "accepted" (the client answers a ping that follows) or "refused" (it ends the connection).
    wanted: str
    unfinished: bool = False
    choice: bool = False


ACCEPT = "Sec-WebSocket-Accept"


def response(line="HTTP/1.1 101 Switching Protocols", more="", **changed):
    """A good response, with fields changed, or left out where they are `None`."""
    fields = {"Upgrade": "websocket", "Connection": "Upgrade", ACCEPT: "KEY"}
    fields |= {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [f"{name}: {value}\r\n" for name, value in fields.items() if value is not None]
    return (f"{line}\r\n" + "".join(lines) + more + "\r\n").encode("latin-1")


def refuses(row, section, what, *args, choice=False, **changed):
    return Response(row, section, what, response(*args, **changed), "refused", choice=choice)


def accepts(row, section, what, *args, choice=False, **changed):
    return Response(row, section, what, response(*args, **changed), "accepted", choice=choice)


PROTOCOL = "Sec-WebSocket-Protocol"
RESPONSES = [
    refuses("R030", "4.1", "200 with all that a 101 has", "HTTP/1.1 200 OK", more="Content-Length: 0\r\n"),
    refuses("R032", "RFC 9110 15.2", "HTTP/1.0", "HTTP/1.0 101 Switching Protocols"),
    refuses("R032", "RFC 9112 4", "a status of two digits", "HTTP/1.1 10 Switching"),
    refuses("R032", "RFC 9112 4", "a status that is no number", "HTTP/1.1 1O1 Switching"),
    refuses("R033", "4.1", "no Upgrade", Upgrade=None),
    refuses("R033", "4.1", "Upgrade: h2c", Upgrade="h2c"),
    refuses("R034", "4.1", "no Connection", Connection=None),
    refuses("R034", "4.1", "Connection: close", Connection="close"),
    refuses("R034", "4.1", "Connection: notupgrade", Connection="notupgrade"),
    refuses("R035", "4.1", "no Accept", **{ACCEPT: None}),
    refuses("R035", "4.1", "an empty Accept", **{ACCEPT: ""}),
    refuses("R035", "4.1", "an Accept for another key", **{ACCEPT: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}),
    refuses("R035", "4.1", "an Accept with more behind it", **{ACCEPT: "KEYx"}),
    refuses("R036", "11.3.3", "Accept twice", more=f"{ACCEPT}: KEY\r\n"),
    refuses("R037", "4.1", "an extension that was not offered", more=f"{LISTS}: x-unknown\r\n"),
    refuses("R037", "4.1", "compression that was not offered", more=f"{LISTS}: permessage-deflate\r\n"),
    refuses("R038", "9.1", "an extension with an unclosed quote", more=f'{LISTS}: x; a="b\r\n'),
    refuses("R040", "4.1", "a subprotocol that was not offered", more=f"{PROTOCOL}: chat\r\n"),
    refuses("R041", "11.3.4", "two subprotocols", more=f"{PROTOCOL}: a\r\n{PROTOCOL}: b\r\n"),
    refuses("R045", "RFC 9112 5.1", "a space before a colon", more="X : y\r\n"),
    refuses("R045", "RFC 9110 5.5", "NUL in a value", more="X: \0\r\n"),
    refuses("R045", "RFC 9112 2.2", "a bare CR", more="X: a\rb\r\n"),
    accepts("R032", "RFC 9112 4", "an empty reason", "HTTP/1.1 101 "),
    accepts("R031", "RFC 9110 15.2", "103 before the 101",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 101 Switching Protocols"),
    accepts("R033", "4.1", "Upgrade: WebSocket", Upgrade="WebSocket"),
    accepts("R034", "4.1", "Connection: keep-alive, Upgrade", Connection="keep-alive, Upgrade"),
    accepts("R034", "4.1", "Connection in two lines", Connection="keep-alive", more="Connection: upgrade\r\n"),
    accepts("R044", "4.1", "names in lower case", Upgrade=None, Connection=None,
            more="upgrade: websocket\r\nconnection: upgrade\r\n"),
    accepts("R044", "4.1", "fields that nobody knows", more="X-Unknown: \xe9\r\n"),
]
