// An echo server on `ws`: prints its port, and ends when its input does.
import { WebSocketServer } from "ws";

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
server.on("listening", () => console.log(server.address().port));
server.on("connection", (socket) => {
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on("error", (error) => console.error(`ws: ${error}`));
});
process.stdin.on("end", () => process.exit(0)).resume();
