// Keeps one lock: the Durable Object of its key. A call that only reads and writes the data of the object is not
// interrupted by another, so it is atomic; no answer leaves the object before the change is on disk.
import { DurableObject } from "cloudflare:workers";

// How long the latest fencing token is kept beyond the end of its lock, in milliseconds.
const NUMBER_KEPT = 30 * 24 * 3600 * 1000;

export class Lock extends DurableObject {
  // The waiting calls, in the order of their arrival.
  #line = [];
  // When the alarm rings.
  #alarm = Infinity;

  constructor(ctx, env) {
    super(ctx, env);
    ctx.blockConcurrencyWhile(async () => {
      this.#alarm = (await ctx.storage.getAlarm()) ?? Infinity;
    });
  }

  // Takes the lock for `owner`, and waits for it, for `wait` milliseconds at most. `ticket` names this call among
  // others.
  acquire({ owner, ttl, wait, fenced, ticket }) {
    const now = Date.now();
    const call = { owner, ttl, fenced, ticket, came: now, until: now + wait };
    this.#serve();
    if (!this.#held()) return this.#grant(call);
    if (wait === 0) return { held: true };
    return new Promise((answer) => {
      this.#line.push({ ...call, answer });
      this.#wake();
    });
  }

  // The caller of an acquire has left: the call waits no longer, and its grant is given back.
  leave(ticket) {
    this.#line = this.#line.filter((call) => call.ticket !== ticket || call.answer({ held: true }));
    if (this.#held()?.ticket === ticket) this.#free();
  }

  release(owner) {
    const held = this.#held();
    if (!held) return "missing";
    if (held.owner !== owner) return "held-by-other";
    this.#free();
    return "released";
  }

  // Makes the lock last for `ttl` from now on. One that lasts longer keeps its time, unless it may be shortened.
  extend({ owner, ttl, mayShorten }) {
    const held = this.#held();
    if (!held) return { status: "gone" };
    if (held.owner !== owner) return { status: "held-by-other" };
    const now = Date.now();
    const until = mayShorten ? now + ttl : Math.max(held.until, now + ttl);
    this.#keep({ ...held, until });
    return { status: "extended", timeLeft: until - now };
  }

  inspect() {
    const held = this.#held();
    return held && { owner: held.owner, timeLeft: held.until - Date.now(), number: held.number };
  }

  async alarm() {
    this.#alarm = Infinity;
    this.#serve();
    if (this.#line.length === 0 && !this.#kept()) await this.ctx.storage.deleteAll();
  }

  // Reads the disk: the lock, unless it has expired, and the latest fencing token, unless its time is over.
  #kept() {
    const kept = this.ctx.storage.kv.get("lock");
    return kept && Date.now() < (kept.forgotten ?? kept.until) ? kept : undefined;
  }

  #held() {
    const kept = this.#kept();
    return kept && Date.now() < kept.until ? kept : undefined;
  }

  // Keeps a lock, and its fencing token for longer than the lock.
  #keep(lock) {
    const forgotten = lock.number === undefined ? undefined : lock.until + NUMBER_KEPT;
    this.ctx.storage.kv.put("lock", { ...lock, forgotten });
    this.#wake();
  }

  #grant({ owner, ttl, fenced, ticket, came }) {
    const now = Date.now();
    let number = this.#kept()?.number;
    // The time in microseconds, or one more than the latest token if that is larger: it grows even if the stored token
    // is lost.
    if (fenced) number = Math.max(now * 1000, (number ?? 0) + 1);
    try {
      this.#keep({ owner, until: now + ttl, ticket, number });
    } catch (problem) {
      return { refused: problem.message };
    }
    return { number: fenced ? number : undefined, waited: now - came };
  }

  #free() {
    const { number, forgotten } = this.#kept();
    if (number === undefined) this.ctx.storage.kv.delete("lock");
    else this.ctx.storage.kv.put("lock", { until: 0, number, forgotten });
    this.#serve();
  }

  // Gives a free lock to the first in line, and answers the calls whose wait is over.
  #serve() {
    while (this.#line.length > 0 && !this.#held()) {
      const first = this.#line.shift();
      first.answer(this.#grant(first));
    }
    const now = Date.now();
    this.#line = this.#line.filter((call) => now < call.until || call.answer({ held: true }));
    this.#wake();
  }

  // Sets the alarm to the next end: of the lock if a call waits for it, of a wait, or of the stored data.
  #wake() {
    const kept = this.#kept();
    const ends = this.#line.map((call) => call.until);
    if (kept) ends.push(this.#line.length > 0 ? kept.until : (kept.forgotten ?? kept.until));
    const next = Math.min(...ends);
    // An alarm that rings too early finds nothing to do, and costs less than a new alarm for each lock.
    if (next >= this.#alarm) return;
    this.#alarm = next;
    this.ctx.storage.setAlarm(next);
  }
}
