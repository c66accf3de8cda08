// Holding a lock for as long as a response lasts: the Worker takes it, renews it, and releases it when the caller
// leaves.
import { error, json } from "./reply.mjs";
import { begin, end } from "./rules.mjs";
import { acquire, extend, Failed, leave } from "./store.mjs";

// Times in milliseconds.
const LONGEST = 2147483647000;
const LONGEST_REST = 24 * 3600 * 1000;
const LONGEST_PAUSE = 1000;

const LOST = {
  GONE: "the lock is gone",
  HELD_BY_OTHER: "another owner holds the lock",
  MAX_HOLD: "the lock was held for the longest time allowed",
};

// The response to a call with this body. `caller` is that of `call`.
export async function hold(storeName, body, caller) {
  const wish = wished(body);
  if (wish.problem) return malformed(`failed deserializing HTTP body: ${wish.problem}`);
  if (wish.maxHold > LONGEST) return malformed(`maxHold is above ${LONGEST / 1000} s in lock store ${storeName}`);
  const begun = begin("acquire", storeName, wish.body);
  if (begun.tag === "answered") return refusal(begun.val);
  const step = { ...begun.val, owner: begun.val.owner ?? crypto.randomUUID() };
  let lease;
  try {
    lease = await acquire(storeName, step, caller);
  } catch (problem) {
    if (!(problem instanceof Failed)) throw problem;
    return refusal(end("acquire", { tag: "failed", val: problem.naming(step.owner) }));
  }
  const events = lease ? new Held(storeName, step, lease, wish.maxHold, caller).events() : line({ notHeld: {} });
  return new Response(events, { headers: { "content-type": "application/x-ndjson" } });
}

// The body of an acquire, and for how long to hold the lock at most. The rules refuse a body that this function does
// not understand.
function wished(body) {
  let asked;
  try {
    asked = JSON.parse(new TextDecoder().decode(body));
  } catch {
    return { body };
  }
  const { maxHold, max_hold, ...rest } = Object(asked);
  if (maxHold === undefined && max_hold === undefined) return { body };
  if (maxHold !== undefined && max_hold !== undefined) return { problem: "maxHold is given twice" };
  const acquire = new TextEncoder().encode(JSON.stringify(rest));
  const text = maxHold ?? max_hold;
  if (text === null || text === undefined) return { body: acquire };
  if (!/^\d+(\.\d{1,9})?s$/.test(text)) return { problem: "maxHold: expected seconds such as 30s or 0.25s" };
  return { body: acquire, maxHold: Math.ceil(Number(text.slice(0, -1)) * 1000) };
}

// A lock that is held, and the events that report it.
class Held {
  #storeName;
  #step;
  #lease;
  #caller;
  #controller;
  // The time until which the lock is surely held, and until which it may be.
  #until;
  #longest;
  // Whether the caller has left, or the lock is lost.
  #over = false;

  constructor(storeName, step, lease, maxHold, caller) {
    this.#storeName = storeName;
    this.#step = step;
    this.#lease = lease;
    this.#caller = caller;
    this.#until = Date.now() + Number(lease.validFor);
    this.#longest = Date.now() + (maxHold ?? Infinity);
  }

  events() {
    this.#caller.signal.addEventListener("abort", () => this.#leave());
    return new ReadableStream({
      start: (controller) => {
        this.#controller = controller;
        const { owner, fencingToken } = this.#lease;
        const token = fencingToken === undefined ? {} : { fencingToken: String(fencingToken) };
        this.#send({ held: { lockOwner: owner, ...token, validFor: this.#validFor() } });
        // While the caller does not read, the stream is not asked for more, but the lock must still be renewed.
        this.#caller.later(this.#keep().catch((problem) => controller.error(problem)));
      },
      cancel: () => this.#leave(),
    });
  }

  async #keep() {
    // A timer cannot be set for longer than 24 days.
    const third = Math.min(Number(this.#step.ttl) / 3, LONGEST_REST);
    let pause = third;
    while (await this.#rests(pause)) {
      const { tag, problem } = await this.#renewed();
      if (this.#over) return;
      if (tag === "extended") {
        this.#send({ renewed: { validFor: this.#validFor() } });
      } else if (tag !== undefined) {
        return this.#lose(tag === "gone" ? "GONE" : "HELD_BY_OTHER");
      } else if (Date.now() >= this.#until) {
        return this.#lose("NOT_RENEWED", `the lock could not be renewed in time: ${problem}`);
      }
      pause = tag === undefined ? Math.min(third, LONGEST_PAUSE) : third;
    }
  }

  // Waits for some time; `false` if the hold is over then.
  async #rests(time) {
    const left = this.#longest - Date.now();
    await new Promise((rested) => setTimeout(rested, Math.max(0, Math.min(time, left))));
    if (!this.#over && Date.now() >= this.#longest) this.#lose("MAX_HOLD");
    return !this.#over;
  }

  async #renewed() {
    const { key, owner, ttl } = this.#step;
    try {
      const extended = await extend(this.#storeName, { key, owner, ttl, mayShorten: false });
      if (extended.tag === "extended") this.#until = Date.now() + Number(extended.val);
      return extended;
    } catch (problem) {
      if (!(problem instanceof Failed)) throw problem;
      return { problem: problem.message };
    }
  }

  // The lock is lost, or left to expire.
  #lose(cause, message = LOST[cause]) {
    this.#over = true;
    const held = cause === "MAX_HOLD" || cause === "NOT_RENEWED";
    this.#send({ lost: { cause, message, validFor: held ? this.#validFor() : "0s" } });
    this.#controller.close();
  }

  // The caller has left.
  #leave() {
    if (this.#over) return;
    this.#over = true;
    this.#caller.later(leave(this.#storeName, this.#step.key, this.#lease.ticket));
  }

  #validFor() {
    const left = Math.max(0, this.#until - Date.now());
    const fraction = left % 1000 === 0 ? "" : `.${String(left % 1000).padStart(3, "0")}`;
    return `${Math.floor(left / 1000)}${fraction}s`;
  }

  #send(event) {
    this.#controller.enqueue(line(event));
  }
}

const line = (event) => new TextEncoder().encode(`${JSON.stringify(event)}\n`);

const malformed = (message) => error(400, "ERR_MALFORMED_REQUEST", message);

const refusal = ({ val: { reply } }) => json(reply.status, reply.body);
