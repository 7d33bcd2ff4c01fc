// A client of HTTP/2 (RFC 9113) without manners: it sends the header fields that it is given, and resets
// streams with nothing before it. Node's own client does neither.
import { once } from "node:events";
import { connect } from "node:tls";
import { within } from "../node/harness.mjs";

export const [DATA, HEADERS, RST_STREAM, SETTINGS] = [0, 1, 3, 4];
const [END_HEADERS, ACK] = [4, 1];

/** A frame (§4.1). */
function frame(type, flags, stream, payload = Buffer.alloc(0)) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.set([type, flags], 3);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Fields as literals, without indexing and without Huffman codes (RFC 7541 §6.2.2). */
function fields(pairs) {
  const string = (text) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
  return Buffer.concat(pairs.flatMap(([name, value]) => [Buffer.from([0]), string(name), string(value)]));
}

/** A connection with one request on stream 1, which stays open. */
export async function request(url, pairs) {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port, ALPNProtocols: ["h2"], rejectUnauthorized: false });
  socket.on("error", () => {});
  await within(once(socket, "secureConnect"), "TLS");
  let bytes = Buffer.alloc(0), woken = () => {}, over = false;
  socket.on("data", (piece) => { bytes = Buffer.concat([bytes, piece]); woken(); });
  socket.on("close", () => { over = true; woken(); });
  socket.write(Buffer.concat([
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(SETTINGS, 0, 0),
    frame(HEADERS, END_HEADERS, 1, fields(pairs)),
  ]));
  async function next() {
    for (;;) {
      const size = bytes.length >= 9 ? 9 + bytes.readUIntBE(0, 3) : Infinity;
      if (bytes.length >= size) {
        const [head, payload] = [bytes.subarray(0, 9), bytes.subarray(9, size)];
        bytes = bytes.subarray(size);
        const [type, flags, stream] = [head[3], head[4], head.readUInt32BE(5)];
        if (type === SETTINGS && !(flags & ACK)) socket.write(frame(SETTINGS, ACK, 0));
        return { type, stream, payload };
      }
      if (over) throw new Error("the connection is over");
      await new Promise((resolve) => (woken = resolve));
    }
  }
  return {
    /** The next frame of the stream that has one of these types. */
    expect: (...types) => within((async () => {
      for (;;) {
        const got = await next();
        if (got.stream === 1 && types.includes(got.type)) return got;
      }
    })(), `a frame of type ${types}`),
    send: (payload) => socket.write(frame(DATA, 0, 1, payload)),
    reset: (code) => {
      const payload = Buffer.alloc(4);
      payload.writeUInt32BE(code);
      socket.write(frame(RST_STREAM, 0, 1, payload));
    },
    destroy: () => socket.destroy(),
  };
}
