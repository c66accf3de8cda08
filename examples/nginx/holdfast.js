// Whether a request goes on to the upstream: a lock of Holdfast decides, for `js_content`. Its settings are
// the variables `$holdfast_…` of the location.

// In seconds: what a client is told that finds the lock held.
const RETRY_AFTER = "1";

async function single_flight(r) {
    const lock = {
        resourceId: r.variables.holdfast_resource,
        // Nobody else's, also not that of another try of the same client.
        lockOwner: r.variables.request_id,
    };
    const taken = await try_lock(r, lock);
    if (taken === false) {
        return refuse(r, "somebody else has it in hand");
    }
    if (taken === undefined && r.variables.holdfast_in_doubt !== "open") {
        // It may have been taken after all.
        await unlock(r, lock);
        return refuse(r, "the lock service does not answer");
    }
    r.internalRedirect("@upstream");
}

// true: the lock is ours; false: it is somebody else's; undefined: nobody knows.
async function try_lock(r, lock) {
    const expiryInSeconds = parseInt(r.variables.holdfast_expiry);
    const reply = await holdfast(r, "lock", Object.assign({ expiryInSeconds }, lock));
    const verdicts = { '{"success":true}': true, '{"success":false}': false };
    const verdict = reply.status === 200 ? verdicts[reply.responseText] : undefined;
    if (verdict === undefined) {
        complain(r, "try-lock", reply);
    }
    return verdict;
}

// Where this fails, the lock runs out by itself.
async function unlock(r, lock) {
    const reply = await holdfast(r, "unlock", lock);
    if (reply.status !== 200) {
        complain(r, "unlock", reply);
    }
}

function holdfast(r, call, body) {
    const uri = `/_holdfast/${call}/${r.variables.holdfast_store}`;
    return r.subrequest(uri, { method: "POST", body: JSON.stringify(body) });
}

function complain(r, call, reply) {
    r.error(`holdfast: ${call}: status ${reply.status} ${reply.responseText || ""}`);
}

function refuse(r, why) {
    r.headersOut["Retry-After"] = RETRY_AFTER;
    r.headersOut["Content-Type"] = "text/plain";
    r.return(503, `${why}\n`);
}

// Without `||`, which Holdfast keeps for itself, and without what JSON would have escaped.
function resource(r) {
    return encodeURIComponent(r.variables.host + r.variables.request_uri);
}

function token() {
    return process.env.DAPR_API_TOKEN || "";
}

export default { single_flight, resource, token };
