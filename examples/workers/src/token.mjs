// The token that callers show.
import { token } from "./settings.mjs";

// Whether a request may be made, as far as its token goes.
export async function admits(request) {
  if (token === "") return true;
  const shown = request.headers.get("dapr-api-token") ?? "";
  // What is compared has the same length for every token, so that the time reveals nothing of it.
  return crypto.subtle.timingSafeEqual(await digest(shown), await digest(token));
}

const digest = (text) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
