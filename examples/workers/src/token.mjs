// The token that callers show.
import { token } from "./settings.mjs";

// Whether a request carries the token, if one is needed.
export async function admits(request) {
  if (token === "") return true;
  const shown = request.headers.get("dapr-api-token") ?? "";
  // The digests have the same length for every token, so that the time of the comparison reveals nothing about it.
  return crypto.subtle.timingSafeEqual(await digest(shown), await digest(token));
}

const digest = (text) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
