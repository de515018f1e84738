// A WebSocket that comes back: after a second, then later and later, at most half a minute.

export class Connection {
  /** @param {string} path  @param {(message: object) => void} onMessage  @param {(state: string) => void} onState */
  constructor(path, onMessage, onState) {
    this.url = `${location.protocol.replace("http", "ws")}//${location.host}${path}`;
    this.onMessage = onMessage;
    this.onState = onState;
    this.failures = 0;
    this.open();
  }

  open() {
    this.onState("connecting");
    this.socket = new WebSocket(this.url);
    this.socket.onopen = () => {
      this.failures = 0;
      this.onState("online");
    };
    this.socket.onmessage = (event) => this.onMessage(JSON.parse(event.data));
    this.socket.onclose = (event) => {
      if (event.code === 1008) return this.onState("refused");
      this.onState("waiting");
      const delay = Math.min(30, 2 ** this.failures++) * (0.5 + Math.random() / 2);
      setTimeout(() => this.open(), delay * 1000);
    };
  }

  /** Send an object now; what cannot go at once is old by the time it could, and is left out. */
  send(message) {
    if (this.socket.readyState !== WebSocket.OPEN || this.socket.bufferedAmount > 4096) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }
}

export function showState(element, state) {
  element.dataset.state = state;
  element.textContent = { connecting: "connecting …", online: "online", waiting: "offline, trying again …", refused: "refused" }[state];
}
