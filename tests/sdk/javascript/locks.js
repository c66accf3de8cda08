// Makes one call of each kind and prints one line for each. The argument is `http` or `grpc`.

const { setTimeout: sleep } = require("node:timers/promises");
const { CommunicationProtocolEnum, DaprClient, LogLevel } = require("@dapr/dapr");
const { LockStatus } = require("@dapr/dapr/types/lock/UnlockResponse");

const STORE = "lockstore";

async function step(name, call) {
  try {
    console.log(`${name}: ${await call()}`);
  } catch (error) {
    console.log(`${name}: ${error.name}, ${error.message}`);
  }
}

async function main() {
  const client = new DaprClient({
    communicationProtocol: CommunicationProtocolEnum[process.argv[2].toUpperCase()],
    // The SDK logs to stdout.
    logger: { level: LogLevel.Error },
  });
  await client.start();

  const take = async (store, resource, owner, seconds) =>
    (await client.lock.lock(store, resource, owner, seconds)).success;
  const unlock = async (store, resource, owner) =>
    LockStatus[(await client.lock.unlock(store, resource, owner)).status];
  const takeInTime = async (resource, owner) => {
    const deadline = Date.now() + 60_000;
    while (!(await take(STORE, resource, owner, 60))) {
      if (Date.now() > deadline) return false;
      await sleep(50);
    }
    return true;
  };

  await step("take", () => take(STORE, "order", "ann", 60));
  await step("take, other owner", () => take(STORE, "order", "bob", 60));
  await step("unlock, wrong owner", () => unlock(STORE, "order", "bob"));
  await step("unlock", () => unlock(STORE, "order", "ann"));
  await step("unlock again", () => unlock(STORE, "order", "ann"));

  await step("take for a second", () => take(STORE, "order", "ann", 1));
  await step("take once expired", () => takeInTime("order", "bob"));
  await step("unlock", () => unlock(STORE, "order", "bob"));

  await step("take, no resource", () => take(STORE, "", "ann", 60));
  await step("take, no owner", () => take(STORE, "order", "", 60));
  await step("take, expiry 0", () => take(STORE, "order", "ann", 0));
  await step("take, no such store", () => take("nowhere", "order", "ann", 60));
  await step("take, bad resource", () => take(STORE, "a||b", "ann", 60));
  await step("unlock, no resource", () => unlock(STORE, "", "ann"));
  await step("unlock, no owner", () => unlock(STORE, "order", ""));
  await step("unlock, no such store", () => unlock("nowhere", "order", "ann"));
  await step("unlock, bad resource", () => unlock(STORE, "a||b", "ann"));

  await client.stop();
}

main().catch((error) => console.log(`start: ${error.name}, ${error.message}`));
