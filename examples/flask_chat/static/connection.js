// A WebSocket that comes back: waits longer after each failure, and says what it is doing.

const FIRST_DELAY = 0.5; // seconds
const LAST_DELAY = 15;

export class Connection {
  /**
   * @param {() => string} url  asked for before each attempt
   * @param {(message: object) => void} onmessage  each JSON message of the server
   * @param {(state: "connecting" | "online" | "waiting", seconds?: number) => void} onstate
   *   "waiting" comes once a second, with the seconds left until the next attempt
   */
  constructor(url, onmessage, onstate) {
    Object.assign(this, { url, onmessage, onstate, socket: null, timer: 0, failures: 0 });
    // The network is back, or somebody looks at the page again: no reason to wait any longer.
    addEventListener("online", () => this.retry());
    addEventListener("pageshow", (event) => event.persisted && this.retry());
    addEventListener("offline", () => this.lost(this.socket));
    document.addEventListener("visibilitychange", () => document.hidden || this.retry());
    this.open();
  }

  get online() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  /** Send now, or return false. */
  send(message) {
    if (!this.online) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  /** Connect now instead of waiting; nothing when connected or connecting. */
  retry() {
    if (this.socket) return;
    clearTimeout(this.timer);
    this.open();
  }

  open() {
    const socket = (this.socket = new WebSocket(this.url()));
    this.onstate("connecting");
    socket.onopen = () => this.onstate("online");
    socket.onmessage = (event) => {
      this.failures = 0; // not in onopen: a server that accepts and hangs up counts as failing
      this.onmessage(JSON.parse(event.data));
    };
    socket.onclose = () => this.lost(socket);
  }

  lost(socket) {
    if (!socket || socket !== this.socket) return;
    this.socket = null;
    socket.onopen = socket.onmessage = null;
    socket.close();
    // Everybody lost the server at the same moment; the random part keeps them from coming back at once.
    const delay = Math.min(LAST_DELAY, FIRST_DELAY * 2 ** this.failures++) * (0.75 + Math.random() / 2);
    this.wait(performance.now() + delay * 1000);
  }

  wait(until) {
    const left = (until - performance.now()) / 1000;
    if (left <= 0) return this.open();
    this.onstate("waiting", Math.ceil(left));
    this.timer = setTimeout(() => this.wait(until), (left % 1 || 1) * 1000);
  }
}
