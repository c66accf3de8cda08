// The settings: variables and secrets of the Worker, with the names that they have in the other components.
import { env } from "cloudflare:workers";

const text = (name) => (env[name] ?? "").trim();

const listed = text("HOLDFAST_STORES").split(",").map((name) => name.trim()).filter(Boolean);

export const appId = text("APP_ID");

export const storeNames = listed.length > 0 ? [...new Set(listed)] : [text("STORE_NAME") || "lockstore"];

export const keyPrefix = text("KEY_PREFIX").toLowerCase() || undefined;

// The token that callers must send. Empty: none is needed.
export const token = env.DAPR_API_TOKEN ?? "";
