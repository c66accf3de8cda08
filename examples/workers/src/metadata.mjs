// The document that describes this server. Dapr's SDKs ask for it when they start.
import { appId, storeNames } from "./settings.mjs";

// The version of Dapr whose API this is, and that of Holdfast as build metadata.
const VERSION = "1.18.0+holdfast.0.1.0";

const TYPE = "lock.cloudflare.durableobjects";

export const metadata = () =>
  JSON.stringify({
    id: appId,
    runtimeVersion: VERSION,
    enabledFeatures: [],
    components: storeNames.map((name) => ({ name, type: TYPE, version: "v1" })),
    extended: { daprRuntimeVersion: VERSION },
    appConnectionProperties: {},
    actorRuntime: { runtimeStatus: "DISABLED", hostReady: false },
  });
