// A WebSocket that comes back by itself, and misses nothing of its rooms: the subprotocol ws4py.replay.v1.
//
//   const ws = new ReplaySocket("/chat/lobby", { onmessage: ({ data, room, id }) => …, ongap: (room) => … });
// For <script src="replay.js">, and for modules: import "./replay.js". The URL may be a function, which is asked each
// time. More options: onopen(); onstate(state), "connecting", "open", "closed", or "waiting" with the seconds behind
// it; onclose({ code, reason }) when it does not come back; protocols, others to offer; positions, to go on from;
// storage, the key of sessionStorage to keep these under; maxQueue, how much may wait to be sent.
{
  const PROTOCOL = "ws4py.replay.v1";
  const MARK = "\x1e"; // begins what is the protocol's
  const RETRIED = [1001, 1006, 1011, 1012, 1013, 1014]; // all other close codes are meant
  const DEFAULTS = { protocols: [], positions: {}, maxQueue: 2 ** 20, initial: 0.5, maximum: 30 };
  const isSound = ({ room = "", id = "0", data = "", base64 = "" }) =>
    [room, id, data, base64].every((value) => typeof value === "string") && /^[0-9A-Za-z.-]{1,64}$/.test(id);
  const decode = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)).buffer;
  const cost = (data) => 14 + (data.length ?? data.byteLength ?? data.size);
  const trim = (kept, limit) => kept.size > limit && kept.delete(kept.keys().next().value);
  globalThis.ReplaySocket = class ReplaySocket {
    constructor(url, options = {}) {
      const { positions, ...others } = { ...DEFAULTS, ...options };
      Object.assign(this, others, { url, queue: [], queued: 0, attempts: 0, known: new Set() });
      const stored = this.storage && sessionStorage.getItem(this.storage);
      this.rooms = new Map(Object.entries(stored ? JSON.parse(stored) : positions));
      const { signal } = (this.leaving = new AbortController());
      const wake = () => globalThis.document?.hidden || this.retry(); // there is a network, or somebody who looks
      for (const type of ["online", "pageshow", "visibilitychange"]) addEventListener(type, wake, { signal });
      addEventListener("offline", () => this.lost(this.socket, { code: 1006 }), { signal });
      this.connect();
    }
    get positions() { return Object.fromEntries(this.rooms); } // the id of the last message of each room
    retry() { if (this.state === "waiting") this.connect(); }
    /** Send, now or when it is connected again; false when it never will be, or too much waits. */
    send(data) {
      const isOpen = this.socket?.readyState === WebSocket.OPEN;
      if (isOpen) this.socket.send(this.replays && data[0] === MARK ? MARK + data : data);
      if (isOpen || this.ending || this.queued + cost(data) > this.maxQueue) return isOpen;
      this.queued += cost(data);
      return this.queue.push(data) > 0;
    }
    close(code = 1000, reason = "") {
      this.socket?.close(code, reason); // which knows what may be said
      this.ending ??= { code, reason };
      if (this.state === "waiting") this.tell("closed");
    }
    connect() {
      const url = new URL(typeof this.url === "function" ? this.url() : this.url, location.href);
      const socket = (this.socket = new WebSocket(url.href.replace(/^http/, "ws"), [PROTOCOL, ...this.protocols]));
      const onopen = () => this.opened(socket), onmessage = ({ data }) => this.take(data);
      Object.assign(socket, { binaryType: "arraybuffer", onopen, onmessage, onclose: (end) => this.lost(socket, end) });
      this.tell("connecting");
    }
    opened(socket) {
      this.replays = socket.protocol === PROTOCOL;
      const rooms = [...this.rooms]; // no more than 64 KiB of them can be asked for
      const resume = () => MARK + JSON.stringify({ resume: Object.fromEntries(rooms) });
      while (new Blob([resume()]).size > 65536) for (const [room] of rooms.splice(0, 50)) this.ongap?.(room);
      if (this.replays) socket.send(resume());
      this.tell("open", this.maximum, () => (this.attempts = 0)); // it was a good one
      this.onopen?.();
      for (const data of this.queue.splice(0)) { this.queued -= cost(data); this.send(data); }
    }
    take(text) {
      if (!this.replays || text[0] !== MARK) return this.onmessage?.({ data: text });
      if (text[1] === MARK) return this.onmessage?.({ data: text.slice(1) });
      try {
        var { room, id, key, gap, left, data, base64 } = JSON.parse(text.slice(1));
        if (!isSound({ room, id, data, base64 })) throw new TypeError();
        if (base64 !== undefined) data = decode(base64);
      } catch { return this.close(4002, "that is not ws4py.replay.v1"); }
      const [place, alias] = [id && `at ${id} ${room}`, key && `as ${key} ${room}`];
      const isPassed = id && (this.known.has(place) || this.rooms.get(room) === id);
      const isDouble = isPassed || (key && this.known.has(alias));
      if (data !== undefined && (id || key)) trim(this.known.add(place ?? alias), 5000);
      if (left) this.rooms.delete(room);
      else if (id && !isPassed) trim(this.rooms.set(room, id), 1000);
      if (this.storage) sessionStorage.setItem(this.storage, JSON.stringify(this.positions));
      if (gap) this.ongap?.(room);
      if (data !== undefined && room && !isDouble) this.onmessage?.({ data, room, id });
    }
    lost(socket, { code, reason = "" }) {
      if (!socket || socket !== this.socket) return;
      socket.onopen = socket.onmessage = socket.onclose = this.socket = null;
      socket.close(); // when it is the network that is gone
      if (!RETRIED.includes(code)) this.ending ??= { code, reason };
      if (this.ending) return this.tell("closed");
      const seconds = Math.random() * Math.min(this.maximum, this.initial * 2 ** this.attempts++);
      this.tell("waiting", seconds, () => this.connect()); // not when everybody else does
    }
    tell(state, seconds, next) {
      clearTimeout(this.timer);
      this.timer = next && setTimeout(next, seconds * 1000);
      this.state = state;
      this.onstate?.(state, seconds);
      if (state !== "closed") return;
      this.leaving.abort();
      this.onclose?.(this.ending);
    }
  };
}
