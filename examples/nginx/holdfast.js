// A lock of Holdfast around a call of the upstream, for `js_content`. Its settings are the variables
// `$holdfast_…` of the location.

// In seconds: what a client is told that finds the lock held.
const RETRY_AFTER = "1";

// Of a single connection, or nginx's own to say.
const NOT_PASSED_ON = ["connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"];

async function single_flight(r) {
    const lock = {
        // No `||`, which Holdfast keeps for itself.
        resourceId: encodeURIComponent(r.variables.host + r.variables.request_uri),
        // Nobody else's, also not that of another try of the same client.
        lockOwner: r.variables.request_id,
    };
    const taken = await try_lock(r, lock);
    if (taken === false) {
        return refuse(r, "somebody else has it in hand");
    }
    if (taken === undefined && r.variables.holdfast_in_doubt !== "open") {
        await unlock(r, lock);
        return refuse(r, "the lock service does not answer");
    }
    const reply = await r.subrequest("/_upstream", { method: r.method });
    // Also where the lock is in doubt: it may have been taken after all.
    await unlock(r, lock);
    pass_on(r, reply);
}

// true: the lock is ours; false: it is somebody else's; undefined: nobody knows.
async function try_lock(r, lock) {
    const expiryInSeconds = parseInt(r.variables.holdfast_expiry);
    const reply = await holdfast(r, "lock", Object.assign({ expiryInSeconds }, lock));
    if (reply.status === 200) {
        return JSON.parse(reply.responseText).success === true;
    }
    r.error(`holdfast: try-lock: status ${reply.status} ${reply.responseText || ""}`);
    return undefined;
}

// Where this fails, the lock runs out by itself.
async function unlock(r, lock) {
    const reply = await holdfast(r, "unlock", lock);
    if (reply.status !== 200) {
        r.error(`holdfast: unlock: status ${reply.status} ${reply.responseText || ""}`);
    }
}

function holdfast(r, call, body) {
    const uri = `/_holdfast/${call}/${r.variables.holdfast_store}`;
    return r.subrequest(uri, { method: "POST", body: JSON.stringify(body) });
}

function pass_on(r, reply) {
    Object.keys(reply.headersOut).forEach((name) => {
        if (!NOT_PASSED_ON.includes(name.toLowerCase())) {
            r.headersOut[name] = reply.headersOut[name];
        }
    });
    r.return(reply.status, reply.responseBuffer);
}

function refuse(r, why) {
    r.headersOut["Retry-After"] = RETRY_AFTER;
    r.headersOut["Content-Type"] = "text/plain";
    r.return(503, `${why}\n`);
}

function token() {
    return process.env.DAPR_API_TOKEN || "";
}

export default { single_flight, token };
