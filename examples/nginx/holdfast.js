// A handler for `js_content` that passes a request on to the upstream if it gets a lock from Holdfast. Its
// settings are the variables `$holdfast_…` of the location.

// After how many seconds a client whose request was refused may try again.
const RETRY_AFTER = "1";

async function single_flight(r) {
    const lock = {
        resourceId: r.variables.holdfast_resource,
        // Unique to this request: a retry of the same client is another owner.
        lockOwner: r.variables.request_id,
    };
    const taken = await try_lock(r, lock);
    if (taken === false) {
        return refuse(r, "another request holds the lock");
    }
    if (taken === undefined && r.variables.holdfast_in_doubt !== "open") {
        // The lock may have been taken all the same.
        await unlock(r, lock);
        return refuse(r, "Holdfast did not say whether the lock was taken");
    }
    r.internalRedirect("@upstream");
}

// true: this request holds the lock; false: another one does; undefined: unknown.
async function try_lock(r, lock) {
    const expiryInSeconds = parseInt(r.variables.holdfast_expiry);
    const reply = await holdfast(r, "lock", Object.assign({ expiryInSeconds }, lock));
    const results = { '{"success":true}': true, '{"success":false}': false };
    const result = reply.status === 200 ? results[reply.responseText] : undefined;
    if (result === undefined) {
        log_failure(r, "try-lock", reply);
    }
    return result;
}

// If this fails, the lock expires by itself.
async function unlock(r, lock) {
    const reply = await holdfast(r, "unlock", lock);
    if (reply.status !== 200) {
        log_failure(r, "unlock", reply);
    }
}

function holdfast(r, call, body) {
    const uri = `/_holdfast/${call}/${r.variables.holdfast_store}`;
    return r.subrequest(uri, { method: "POST", body: JSON.stringify(body) });
}

function log_failure(r, call, reply) {
    r.error(`holdfast: ${call}: status ${reply.status} ${reply.responseText || ""}`);
}

function refuse(r, reason) {
    r.headersOut["Retry-After"] = RETRY_AFTER;
    r.headersOut["Content-Type"] = "text/plain";
    r.return(503, `${reason}\n`);
}

// The resource id: the URL, encoded so that it contains neither `||`, which Holdfast reserves, nor
// characters that JSON would have to escape.
function resource(r) {
    return encodeURIComponent(r.variables.host + r.variables.request_uri);
}

function token() {
    return process.env.DAPR_API_TOKEN || "";
}

export default { single_flight, resource, token };
