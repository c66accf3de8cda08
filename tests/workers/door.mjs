// Serves the commands of the store of `examples/workers` over HTTP, and counts for tests the calls that arrive in a
// Durable Object.
import { env } from "cloudflare:workers";
import { Lock as Example } from "./src/lock.mjs";
import { acquire, extend, Failed, inspect, release } from "./src/store.mjs";

const STORE = "lockstore";

// The owner whose grants the object does not report.
const WITHHELD = "withheld";

export class Lock extends Example {
  #acquires = 0;
  #leaves = 0;

  async acquire(command) {
    const answer = super.acquire(command);
    this.#acquires += 1;
    return command.owner === WITHHELD ? await new Promise(() => {}) : await answer;
  }

  leave(ticket) {
    super.leave(ticket);
    this.#leaves += 1;
  }

  arrived() {
    return { acquires: this.#acquires, leaves: this.#leaves };
  }

  // Ends the object, as a crash does. The next call gets a new one.
  end() {
    this.ctx.abort("the test ends it");
  }

  async stored() {
    return { keys: [...this.ctx.storage.kv.list()].length, alarm: await this.ctx.storage.getAlarm() };
  }
}

const object = (key) => env.LOCKS.getByName(JSON.stringify([STORE, key]));

const COMMANDS = {
  acquire: (command, caller) => acquire(STORE, command, caller),
  release: (command) => release(STORE, command),
  extend: (command) => extend(STORE, command),
  inspect: (command) => inspect(STORE, command),
  arrived: ({ key }) => object(key).arrived(),
  end: ({ key }) => object(key).end().catch(String),
  stored: ({ key }) => object(key).stored(),
};

export default {
  async fetch(request, _env, ctx) {
    const carryOut = COMMANDS[new URL(request.url).pathname.slice(1)];
    const command = await request.json();
    const caller = { signal: request.signal, later: (promise) => ctx.waitUntil(promise) };
    try {
      return reply({ outcome: (await carryOut(command, caller)) ?? null });
    } catch (problem) {
      if (problem instanceof Failed) return reply({ failure: problem.naming(command.owner) });
      throw problem;
    }
  },
};

const reply = (answer) => new Response(JSON.stringify(answer, plain));

const plain = (_, value) => (typeof value === "bigint" ? Number(value) : value);
