// The conversation of ../words.py on `ws`; prints where, as JSON, and serves until stdin ends.

import { WebSocketServer } from "ws";

const MAX_SIZE = 17 * 2 ** 20;
const SUBPROTOCOLS = ["chat.v2", "chat.v1"];
const FRAGMENTS = ["one ", "zw\u00f6lf ", "\u20ac", "\u{1f600} ", "end"];
const ends = new Map();

function talk(socket) {
  let name = "";
  const commands = {
    name: (rest) => { name = rest; },
    closed: (rest) => socket.send(ends.get(rest) ?? "!open"),
    close: (rest) => {
      const [code, ...words] = rest.split(" ");
      if (code === "-") socket.close();
      else socket.close(Number(code), words.join(" "));
    },
    ping: (rest) => socket.ping(rest),
    fragments: () => FRAGMENTS.forEach((fragment, index) => {
      socket.send(fragment, { fin: index === FRAGMENTS.length - 1 });
      if (index === 0) socket.ping("between");
    }),
    subprotocol: () => socket.send(`!subprotocol ${socket.protocol}`),
  };
  socket.on("message", (data, isBinary) => {
    const isCommand = !isBinary && data[0] === 33;
    const [, command, rest] = isCommand ? /^!(\w+) ?(.*)$/s.exec(data.toString()) : [];
    if (isCommand) commands[command](rest);
    else socket.send(data, { binary: isBinary });
  });
  socket.on("pong", (data) => {
    if (data.toString() !== "between") socket.send(`!ponged ${data}`);
  });
  socket.on("close", (code, reason) => {
    if (name) ends.set(name, `!closed ${code} ${reason}`);
  });
}

function start(perMessageDeflate) {
  const handleProtocols = (offered) => SUBPROTOCOLS.find((name) => offered.has(name)) ?? false;
  const options = { host: "127.0.0.1", port: 0, perMessageDeflate, maxPayload: MAX_SIZE, handleProtocols };
  const server = new WebSocketServer(options);
  server.on("connection", talk);
  return new Promise((resolve) => server.on("listening", () => resolve(server.address().port)));
}

const urls = {};
for (const [mode, wanted] of [["plain", false], ["deflate", true]]) {
  urls[mode] = `ws://127.0.0.1:${await start(wanted)}/${mode}`;
}
console.log(JSON.stringify(urls));
process.stdin.resume().on("end", () => process.exit());
