// The Worker: from a request to a response. It keeps nothing: the locks are in Durable Objects of the class `Lock`.
import { MOST, MOST_OF_LEASES, read, TOO_LONG } from "./body.mjs";
import { call } from "./call.mjs";
import { hold } from "./hold.mjs";
import { metadata } from "./metadata.mjs";
import { badRequest, bodyTooLong, empty, error, invalidToken, json, notFound } from "./reply.mjs";
import { isHealthCheck, isWellEscaped, route } from "./route.mjs";
import { appId } from "./settings.mjs";
import { admits } from "./token.mjs";

export { Lock } from "./lock.mjs";

export default {
  async fetch(request, _env, ctx) {
    try {
      return await answer(request, ctx);
    } catch (problem) {
      console.error(problem);
      return error(500, "ERR_INTERNAL", problem.message);
    }
  },
};

async function answer(request, ctx) {
  const { pathname, search } = new URL(request.url);
  if (!isWellEscaped(pathname)) return badRequest();
  if (!isHealthCheck(request.method, pathname) && !(await admits(request))) return invalidToken();

  const { does, verb, store, ofLease } = route(request.method, pathname);
  const caller = { signal: request.signal, later: (promise) => ctx.waitUntil(promise) };
  switch (does) {
    case "call": {
      const body = await read(request, ofLease ? MOST_OF_LEASES : MOST);
      if (body === TOO_LONG) return bodyTooLong();
      const reply = await call(verb, store, body, caller);
      return json(reply.status, reply.body);
    }
    case "hold": {
      const body = await read(request, MOST_OF_LEASES);
      return body === TOO_LONG ? bodyTooLong() : await hold(store, body, caller);
    }
    case "healthz": {
      const asked = askedAppId(search);
      if (asked === null || asked === appId) return empty();
      return error(500, "ERR_HEALTH_APPID_NOT_MATCH", "dapr app-id does not match");
    }
    case "outbound":
      return empty();
    case "metadata":
      return json(200, metadata());
    default:
      return notFound();
  }
}

// The app id that a query asks for. Like Go, this leaves out pairs with a semicolon or a broken escape.
function askedAppId(search) {
  const isRead = (pair) => !pair.includes(";") && !/%(?![0-9a-f]{2})/i.test(pair);
  const pairs = search.replace(/^\?/, "").split("&").filter(isRead);
  return new URLSearchParams(pairs.join("&")).get("appid");
}
