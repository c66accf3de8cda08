// Replies, in the words and forms of daprd.

export const json = (status, body) =>
  new Response(body, { status, headers: { "content-type": "application/json" } });

export const error = (status, errorCode, message) => json(status, JSON.stringify({ errorCode, message }));

export const empty = () => new Response(null, { status: 204 });

// Dapr passes unknown paths on to an application, and says that this one names none.
export const notFound = () =>
  error(404, "ERR_DIRECT_INVOKE", "failed getting app id either from the URL path or the header dapr-app-id");

export const bodyTooLong = () => error(400, "ERR_BODY_READ", "failed to read request body: stream too large");

export const badRequest = () => text(400, "400 Bad Request");

export const invalidToken = () => text(401, "invalid api token\n", { "x-content-type-options": "nosniff" });

const text = (status, body, headers) =>
  new Response(body, { status, headers: { "content-type": "text/plain; charset=utf-8", ...headers } });
