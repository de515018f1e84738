// One page for all rooms: the room is in the address, the name in this browser's memory.
const room = decodeURIComponent(location.pathname.split("/").pop());
const byId = (id) => document.getElementById(id);
const log = byId("log"), text = byId("text"), send = byId("send"), status = byId("status");

const name = sessionStorage.getItem("name") ?? prompt("What should we call you?", "") ?? "";
sessionStorage.setItem("name", name);
byId("room").textContent = document.title = room;

let socket, mine = "", pause = 500;

function show(state, words) {
  status.dataset.state = state;
  status.textContent = words;
  send.disabled = state !== "open";
}

function append(who, words) {
  const item = document.createElement("li");
  item.className = who === "" ? "notice" : who === mine ? "mine" : "";
  const author = document.createElement("b");
  author.textContent = who;
  const body = document.createElement("span");
  body.textContent = words;
  item.append(author, body);
  // Only who reads the end is taken along to the new end.
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(item);
  while (log.childElementCount > 500) log.firstElementChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

const heard = {
  welcome({ name }) { mine = name; pause = 500; show("open", `you are ${name}`); },
  people({ names }) { byId("people").textContent = names.join(", "); },
  said({ name, text }) { append(name, text); },
};

function connect() {
  show("connecting", "connecting …");
  const address = new URL(`/chat/${encodeURIComponent(room)}`, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  address.searchParams.set("name", name);
  socket = new WebSocket(address);
  socket.onmessage = ({ data }) => { const message = JSON.parse(data); heard[message.type]?.(message); };
  socket.onclose = () => {
    show("closed", "connection lost; trying again …");
    // Not all at the same time after a restart of the server.
    setTimeout(connect, pause * (0.5 + Math.random()));
    pause = Math.min(pause * 2, 15000);
  };
}

byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  if (send.disabled || text.value.trim() === "") return;
  socket.send(text.value);
  text.value = "";
});

connect();
