"""What is sent, and what RFC 6455 wants to happen. The numbers are those of docs/conformance.md."""

import base64
from dataclasses import dataclass, field

FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = bytes([0x11, 0x22, 0x33, 0x44])


def masked(data, key=KEY):
    return bytes(byte ^ key[i % 4] for i, byte in enumerate(data))


def frame(first, payload=b"", *, length=None, key=KEY):
    """A frame as a client sends it; `length`, if given, is the length field as it is, without the mask bit."""
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
    # end), "accepted" (101), or the messages that come back. At a client: "failed" (it ends the connection
    # and sends nothing more), or "opened" (it answers a ping).
    wanted: object
    # Nothing follows: what is wrong can only be seen in what has arrived.
    unfinished: bool = False
    # No RFC demands it: the strictest that is allowed. It does not count.
    choice: bool = False
    # What a client is told to ask for.
    subprotocol: str | None = None


# The codes of failures: where one of these is wanted, an end without a code is a refusal too.
FAILURES = {1002, 1007, 1009}
PROTOCOL_ERROR = [1002]
NOT_UTF8 = [1007]

def probes_of_frames(key):
    """What both roles have to judge, in frames that are masked with this key, if there is one."""

    def sent(first, payload=b"", *, length=None):
        return frame(first, payload, length=length, key=key)

    def closing(code, reason=b""):
        return sent(FIN | CLOSE, code.to_bytes(2, "big") + reason)

    return [
        Probe("R120", "5.2", "RSV1 without an extension", sent(FIN | RSV1 | TEXT, b"x"), PROTOCOL_ERROR),
        Probe("R120", "5.2", "RSV2 on a ping", sent(FIN | RSV2 | PING), PROTOCOL_ERROR),
        Probe("R120", "5.2", "RSV3 on an empty message", sent(FIN | RSV3 | BINARY), PROTOCOL_ERROR),
        Probe("R121", "5.2", "a reserved data opcode, 3", sent(FIN | 3, b"x"), PROTOCOL_ERROR),
        Probe("R121", "5.2", "a reserved control opcode, 11, empty", sent(FIN | 11), PROTOCOL_ERROR),
        Probe("R124", "5.2", "5 bytes, their length in 16 bits",
              sent(FIN | TEXT, b"hello", length=b"\x7e\x00\x05"), PROTOCOL_ERROR),
        Probe("R125", "5.2", "5 bytes, their length in 64 bits",
              sent(FIN | TEXT, b"hello", length=b"\x7f" + (5).to_bytes(8, "big")), PROTOCOL_ERROR),
        Probe("R125", "5.2", "65,535 bytes, their length in 64 bits",
              sent(FIN | BINARY, bytes(65535), length=b"\x7f" + (65535).to_bytes(8, "big")), PROTOCOL_ERROR),
        Probe("R126", "5.2", "a length with its top bit set", sent(FIN | BINARY, length=b"\x7f\x80" + bytes(6) + b"\x01"),
              [1002, 1009], unfinished=True),
        Probe("R127", "10.4", "a length of 2^62, before any of it comes", sent(FIN | BINARY, length=b"\x7f\x40" + bytes(7)),
              [1009, 1002], unfinished=True),
        Probe("R130", "5.5", "a ping of 126 bytes", sent(FIN | PING, bytes(126)), PROTOCOL_ERROR),
        Probe("R130", "5.5", "a Close of 126 bytes", sent(FIN | CLOSE, b"\x03\xe8" + b"x" * 124), PROTOCOL_ERROR),
        Probe("R131", "5.5", "a ping in fragments", sent(PING, b"a"), PROTOCOL_ERROR),
        Probe("R150", "5.4", "a continuation of nothing", sent(FIN | CONTINUATION, b"x"), PROTOCOL_ERROR),
        Probe("R151", "5.4", "a message inside a message", sent(TEXT, b"a") + sent(FIN | TEXT, b"b"), PROTOCOL_ERROR),
        Probe("R151", "5.4", "a message inside one that is still empty", sent(TEXT) + sent(FIN | TEXT, b"b"), PROTOCOL_ERROR),
        Probe("R230", "8.1", "a text that is not UTF-8", sent(FIN | TEXT, b"\xff"), NOT_UTF8),
        Probe("R234", "8.1", "a surrogate", sent(FIN | TEXT, b"\xed\xa0\x80"), NOT_UTF8),
        Probe("R234", "8.1", "an overlong form", sent(FIN | TEXT, b"\xc0\xaf"), NOT_UTF8),
        Probe("R234", "8.1", "a code point above U+10FFFF", sent(FIN | TEXT, b"\xf4\x90\x80\x80"), NOT_UTF8),
        Probe("R232", "5.6", "a text that ends inside a code point", sent(FIN | TEXT, b"\xe2\x82"), NOT_UTF8),
        Probe("R232", "5.6", "the same, the last fragment empty", sent(TEXT, b"\xe2\x82") + sent(FIN), NOT_UTF8),
        Probe("R233", "8.1", "a bad byte in a fragment, the message unfinished", sent(TEXT, b"ok\xff"), NOT_UTF8,
              unfinished=True, choice=True),
        Probe("R233", "8.1", "a bad byte in a frame, the frame unfinished",
              sent(FIN | TEXT, b"ok\xff", length=b"\x64"), NOT_UTF8, unfinished=True, choice=True),
        Probe("R210", "5.5.1", "a Close of one byte", sent(FIN | CLOSE, b"\x03"), PROTOCOL_ERROR),
        Probe("R212", "5.5.1", "a reason that is not UTF-8", closing(1000, b"\xff"), [1007, 1002]),
        Probe("R213", "7.4.1", "Close 1005", closing(1005), PROTOCOL_ERROR),
        Probe("R213", "7.4.1", "Close 1006", closing(1006), PROTOCOL_ERROR),
        Probe("R213", "7.4.1", "Close 1015", closing(1015), PROTOCOL_ERROR),
        Probe("R214", "7.4.2", "Close 999", closing(999), PROTOCOL_ERROR),
        Probe("R217", "7.4.2", "Close 2000, which means nothing yet", closing(2000), PROTOCOL_ERROR, choice=True),
        Probe("R219", "7.4.2", "Close 5000", closing(5000), PROTOCOL_ERROR, choice=True),
        Probe("R190", "5.5.1", "Close 1000 is answered", closing(1000), [1000]),
        Probe("R211", "5.5.1", "a Close without a body is answered", sent(FIN | CLOSE), [None, 1000]),
        Probe("R216", "7.4.2", "Close 1012 is answered", closing(1012), [1012, 1000]),
        Probe("R218", "7.4.2", "Close 4999 is answered", closing(4999), [4999, 1000]),
        Probe("R152", "5.4", "a ping between fragments", sent(TEXT, b"a") + sent(FIN | PING, b"p") + sent(FIN, b"b"),
              [b"p", b"ab"]),
        Probe("R153", "5.4", "empty fragments", sent(TEXT) + sent(CONTINUATION, b"x") + sent(FIN), [b"x"]),
        Probe("R154", "5.6", "an empty message", sent(FIN | TEXT), [b""]),
        Probe("R231", "5.6", "a code point cut by a fragment", sent(TEXT, b"\xe2\x82") + sent(FIN, b"\xac"),
              ["€".encode()]),
        Probe("R235", "8.1", "NUL, BOM and U+10FFFF in a text", sent(FIN | TEXT, "\0\ufeff\U0010ffff".encode()),
              ["\0\ufeff\U0010ffff".encode()]),
    ]


FRAMES_OF_A_CLIENT = [
    Probe("R122", "5.1", "a message without a mask", frame(FIN | TEXT, b"x", key=None), PROTOCOL_ERROR),
    Probe("R122", "5.1", "an empty ping without a mask", frame(FIN | PING, key=None), PROTOCOL_ERROR),
    Probe("R142", "5.3", "a mask of zeros", frame(FIN | TEXT, b"x", key=bytes(4)), [b"x"]),
    *probes_of_frames(KEY),
]

FRAMES_OF_A_SERVER = [
    Probe("R123", "5.1", "a message with a mask", frame(FIN | TEXT, b"x"), PROTOCOL_ERROR),
    Probe("R123", "5.1", "an empty ping with a mask of zeros", frame(FIN | PING, key=bytes(4)), PROTOCOL_ERROR),
    *probes_of_frames(None),
]

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


def unfinished(row, section, what, sent):
    """What can become no request, and no more comes: nobody has to say so before the end."""
    return Probe(row, section, what, sent, "refused", unfinished=True, choice=True)


def accepted(row, section, what, *args, **changed):
    return Probe(row, section, what, request(*args, **changed), "accepted")


KEY_NAME, VERSION, LISTS = "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Extensions"
REQUESTS = [
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
    refused("R402", "RFC 9110 15.5.6", "OPTIONS *", "OPTIONS * HTTP/1.1"),
    unfinished("R401", "RFC 9112 3", "a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    unfinished("R400", "RFC 9112 3", "the greeting of SOCKS 5", b"\x05\x01\x00"),
    unfinished("R400", "RFC 9112 3", "the greeting of a mail client", b"HELO x\r\n"),
    unfinished("R400", "RFC 9112 3", "a frame", frame(FIN | TEXT, b"hello")),
    accepted("R063", "4.2.1", "a target in absolute form", "GET http://127.0.0.1/ HTTP/1.1"),
    accepted("R066", "4.2.1", "Connection: keep-alive, Upgrade", Connection="keep-alive, Upgrade"),
    accepted("R065", "4.2.1", "Upgrade: WebSocket", Upgrade="WebSocket"),
    accepted("R072", "4.2.1", "subprotocols that nobody knows", more="Sec-WebSocket-Protocol: a, b\r\n"),
    accepted("R074", "9.1", "an extension that nobody knows", more=f'{LISTS}: x-unknown; a="b"\r\n'),
    accepted("R075", "4.2.1", "fields that nobody knows", more="X-Unknown: \xe9\r\n"),
]

# Stands in a response for the answer to the client's key.
ACCEPT = b"?accept?"


def response(first="HTTP/1.1 101 Switching Protocols", more="", before="", **changed):
    """A good response, with fields changed, or left out where they are `None`."""
    fields = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": ACCEPT.decode()}
    fields |= {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [f"{name}: {value}\r\n" for name, value in fields.items() if value is not None]
    return (f"{before}{first}\r\n" + "".join(lines) + more + "\r\n").encode("latin-1")


def opens(row, section, what, *args, choice=False, asks=None, **changed):
    return Probe(row, section, what, response(*args, **changed), "opened", choice=choice, subprotocol=asks)


def fails(row, section, what, *args, choice=False, asks=None, **changed):
    return Probe(row, section, what, response(*args, **changed), "failed", choice=choice, subprotocol=asks)


def silenced(row, section, what, sent):
    """What can become no response, and no more comes: nobody has to say so before the end."""
    return Probe(row, section, what, sent, "failed", unfinished=True, choice=True)


ANSWER, PROTOCOL = "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol"
RESPONSES = [
    fails("R030", "4.1", "status 200", "HTTP/1.1 200 OK", "Content-Length: 0\r\n"),
    fails("R030", "4.1", "status 403", "HTTP/1.1 403 Forbidden", "Content-Length: 0\r\n"),
    fails("R032", "RFC 9110 15.2", "HTTP/1.0", "HTTP/1.0 101 Switching Protocols"),
    fails("R032", "RFC 9112 2.3", "HTTP/2.0", "HTTP/2.0 101 Switching Protocols"),
    fails("R032", "RFC 9112 4", "a status of four digits", "HTTP/1.1 1010 Switching Protocols"),
    fails("R033", "4.1", "no Upgrade", Upgrade=None),
    fails("R033", "4.1", "Upgrade: h2c", Upgrade="h2c"),
    fails("R033", "4.1", "Upgrade: websocket, h2c", Upgrade="websocket, h2c"),
    fails("R034", "4.1", "no Connection", Connection=None),
    fails("R034", "4.1", "Connection: close", Connection="close"),
    fails("R034", "4.1", "Connection: notupgrade", Connection="notupgrade"),
    fails("R035", "4.1", "no Accept", **{ANSWER: None}),
    fails("R035", "4.1", "an empty Accept", **{ANSWER: ""}),
    fails("R035", "4.1", "the Accept of another key", **{ANSWER: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}),
    fails("R035", "4.1", "more behind the Accept", **{ANSWER: f"{ACCEPT.decode()}x"}),
    fails("R036", "11.3.3", "Accept twice", more=f"{ANSWER}: {ACCEPT.decode()}\r\n"),
    fails("R040", "4.1", "a subprotocol where none was asked for", more=f"{PROTOCOL}: chat\r\n"),
    fails("R040", "4.1", "another subprotocol", more=f"{PROTOCOL}: mqtt\r\n", asks="chat"),
    fails("R040", "RFC 7936", "the subprotocol in another case", more=f"{PROTOCOL}: CHAT\r\n", asks="chat"),
    fails("R041", "11.3.4", "the subprotocol twice", more=f"{PROTOCOL}: chat\r\n" * 2, asks="chat"),
    fails("R041", "4.2.2", "a list of subprotocols", more=f"{PROTOCOL}: chat, chat\r\n", asks="chat"),
    fails("R041", "4.2.2", "an empty subprotocol where none was asked for", more=f"{PROTOCOL}:\r\n"),
    fails("R041", "4.2.2", "an empty subprotocol where one was asked for", more=f"{PROTOCOL}:\r\n", asks="chat"),
    fails("R037", "4.1", "an extension that was not offered", more=f"{LISTS}: x-unknown\r\n"),
    fails("R037", "4.1", "compression that was not offered", more=f"{LISTS}: permessage-deflate\r\n"),
    fails("R038", "9.1", "an extension with an unclosed quote", more=f'{LISTS}: a; b="c\r\n'),
    fails("R038", "9.1", "an empty list of extensions", more=f"{LISTS}:\r\n"),
    fails("R045", "RFC 9112 5.1", "a space before a colon", more="X : y\r\n", choice=True),
    fails("R045", "RFC 9112 2.2", "a folded line behind the status line", "HTTP/1.1 101 S\r\n X: y", choice=True),
    fails("R045", "RFC 9110 5.5", "NUL in a value", more="X: \0\r\n", choice=True),
    fails("R045", "RFC 9112 2.2", "a bare CR", more="X: a\rb\r\n", choice=True),
    fails("R045", "RFC 9112 5", "a line without a colon", more="X\r\n"),
    fails("R031", "10.4", "a thousand interim responses", before="HTTP/1.1 103 Early Hints\r\n\r\n" * 1000,
          choice=True),
    fails("R048", "10.4", "a head of a megabyte", more="X: " + "x" * (1 << 20) + "\r\n", choice=True),
    silenced("R400", "RFC 9112 4", "the settings of HTTP/2", b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\xff\xff"),
    silenced("R401", "RFC 9112 4", "a TLS alert", b"\x15\x03\x01\x00\x02\x02\x46"),
    silenced("R400", "RFC 9112 4", "the greeting of SSH", b"SSH-2.0-x\r\n"),
    silenced("R400", "RFC 9112 4", "the greeting of a mail server", b"220 mail ESMTP\r\n"),
    silenced("R400", "RFC 9112 4", "a frame", frame(FIN | TEXT, b"hello", key=None)),
    opens("R032", "RFC 9112 4", "an empty reason", "HTTP/1.1 101 "),
    opens("R032", "RFC 9112 4", "another reason", "HTTP/1.1 101 Web Socket Protocol Handshake"),
    opens("R033", "4.1", "Upgrade: WebSocket", Upgrade="WebSocket"),
    opens("R034", "4.1", "Connection: keep-alive, UPGRADE", Connection="keep-alive, UPGRADE"),
    opens("R034", "4.1", "Connection in two lines", more="Connection: keep-alive\r\n"),
    opens("R035", "4.1", "spaces around the Accept", **{ANSWER: f"  {ACCEPT.decode()} \t"}),
    opens("R040", "4.1", "the subprotocol that was asked for", more=f"{PROTOCOL}: chat\r\n", asks="chat"),
    opens("R042", "4.1", "none though one was asked for; browsers fail it", asks="chat", choice=True),
    opens("R046", "RFC 9112 6.3", "Content-Length: 0", more="Content-Length: 0\r\n"),
    opens("R046", "RFC 9112 6.3", "Content-Length: 5", more="Content-Length: 5\r\n"),
    opens("R046", "RFC 9112 6.3", "Transfer-Encoding: chunked", more="Transfer-Encoding: chunked\r\n"),
    opens("R409", "RFC 9112 5.2", "a folded line", more="X: a;\r\n\tb\r\n"),
    opens("R031", "RFC 9110 15.2", "100 before it", before="HTTP/1.1 100 Continue\r\n\r\n"),
    opens("R031", "RFC 9110 15.2", "103 before it", before="HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
    opens("R044", "4.1", "fields that nobody knows", more="X-Unknown: \xe9\r\n"),
]
