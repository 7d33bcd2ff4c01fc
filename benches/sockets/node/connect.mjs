// An echo client on `ws`: reads ports, and connects to each on 127.0.0.1, one after the other.
import { createInterface } from "node:readline";
import WebSocket from "ws";

const converse = (port) =>
  new Promise((done) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false });
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.on("error", (error) => console.error(`ws: ${error}`));
    socket.on("close", done);
  });

for await (const port of createInterface({ input: process.stdin })) {
  await converse(port);
}
