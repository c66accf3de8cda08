// Which call a method and a path name.

const LEASE_VERBS = { acquire: "acquire", extend: "extend", release: "unlock", inspect: "inspect" };

const UNKNOWN = { does: "nothing" };

export function route(method, pathname) {
  const path = clean(pathname);
  if (method === "GET") {
    if (path === "/v1.0/healthz") return { does: "healthz" };
    if (path === "/v1.0/healthz/outbound") return { does: "outbound" };
    if (path === "/v1.0/metadata") return { does: "metadata" };
  }
  if (method !== "POST") return UNKNOWN;
  const [, dapr, daprStore] = /^\/v1\.0-alpha1\/(lock|unlock)\/([^/]+)$/.exec(path) ?? [];
  if (dapr) return { does: "call", verb: dapr === "lock" ? "try-lock" : "unlock", store: unescape(daprStore) };
  const [, leaseStore, lease] = /^\/v1\.0\/leases\/([^/]+)\/(acquire|extend|release|inspect|hold)$/.exec(path) ?? [];
  if (lease === "hold") return { does: "hold", store: unescape(leaseStore) };
  if (lease) return { does: "call", verb: LEASE_VERBS[lease], store: unescape(leaseStore), ofLease: true };
  return UNKNOWN;
}

// Health checks need no token. As in daprd, the path counts as it was sent.
export const isHealthCheck = (method, pathname) =>
  method === "GET" && /^\/*v1\.0\/healthz(\/outbound)?\/*$/.test(pathname);

// Whether each `%` is followed by two hexadecimal digits.
export const isWellEscaped = (pathname) => !/%(?![0-9a-f]{2})/i.test(pathname);

// Without empty segments; the URL's parser has resolved `.` and `..`.
const clean = (pathname) => "/" + pathname.split("/").filter(Boolean).join("/");

// As Go reads a query: `+` is a space, and bytes that are not UTF-8 become U+FFFD. The separators of a query have no
// meaning in a path.
function unescape(segment) {
  const sheltered = segment.replaceAll("&", "%26").replaceAll("=", "%3D");
  return new URLSearchParams(`name=${sheltered}`).get("name");
}
