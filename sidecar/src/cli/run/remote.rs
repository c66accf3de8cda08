//! The lock through a running server, over its HTTP API.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures_util::{FutureExt, future::BoxFuture};
use holdfast::{
    Lost, UnlockStatus,
    renewal::{self, Renewal, Schedule},
};
use holdfast_dapr_api::TOKEN_HEADER;
use holdfast_rules::json::duration;
use holdfast_timing::{after, go_duration::parse_go_duration, whole_milliseconds};
use hyper::{
    Request, StatusCode,
    body::Bytes,
    header::{self, HeaderValue},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    super::{
        address::{Address, token},
        arguments::RunLocked,
        client::{self, Port, ShuttingDown, StoreFailed, refusal},
    },
    problem::with_hint,
};

/// How long a server may take to answer, apart from a wait for the lock.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to try to give back a lock that may have been taken.
pub const GIVING_BACK: Duration = Duration::from_secs(2);

/// How long to wait before asking the server again after it ended a wait early.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// How long one `await-loss` call waits: a proxy in between may close a connection that is silent for longer.
const AWAIT_LOSS_WAIT: Duration = Duration::from_secs(30);

/// The shortest time between two questions for a loss.
const MIN_AWAIT_LOSS_INTERVAL: Duration = Duration::from_secs(1);

/// A server.
#[derive(Clone)]
pub struct Server {
    address: Address,
    token: Option<HeaderValue>,
}

/// The lock to take, renew and release.
#[derive(Clone)]
struct RemoteLock {
    server: Server,
    store: String,
    resource: String,
    owner: String,
    ttl: Duration,
}

/// A lock that is being renewed.
struct Renewing {
    lock: RemoteLock,
    schedule: Schedule,
    /// Waits until the lock may be lost. It goes on during renewals.
    doubt: BoxFuture<'static, ()>,
}

/// A lock that is held, and renewed in the background at each third of its time to live.
pub struct RemoteLease {
    hold: RemoteLock,
    fencing_token: Option<u64>,
    lost: watch::Receiver<Option<Lost>>,
    renewing: AbortHandle,
}

impl Server {
    /// The server at a URL, with the token of the environment.
    pub fn at(address: &str) -> Result<Self> {
        Ok(Self { address: Address::read(address)?, token: token("DAPR_API_TOKEN")? })
    }

    /// Makes a call about leases, and returns the body of a good answer.
    async fn call(&self, store: &str, call: &str, body: &Value) -> Result<Value> {
        let store = utf8_percent_encode(store, NON_ALPHANUMERIC);
        let mut request = Request::post(format!("/v1.0/leases/{store}/{call}"))
            .header(header::HOST, self.address.authority())
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(TOKEN_HEADER, token);
        }
        let request = request.body(Bytes::from(body.to_string()).into())?;
        let (status, body) = client::ask(self.address.connect().await?, request).await?;
        match (status, serde_json::from_slice(&body)) {
            (StatusCode::OK, Ok(answer)) => Ok(answer),
            (StatusCode::UNAUTHORIZED, _) => {
                bail!("the server refuses the token: DAPR_API_TOKEN must be that of the server")
            }
            _ => Err(refusal(Port::Http, status, &body)),
        }
    }

    /// Releases a lock that may have been taken, if the server can be asked.
    pub async fn give_back(&self, args: &RunLocked, owner: &str) {
        RemoteLock::of(self, args, owner).give_back().await;
    }
}

/// Takes the lock, and renews it from then on.
pub async fn hold(server: &Server, args: &RunLocked, owner: &str) -> Result<Option<RemoteLease>> {
    let kept = take(server, args, owner).await;
    if kept.is_err() {
        server.give_back(args, owner).await;
    }
    kept.map_err(|error| {
        let is_of_store = error.is::<StoreFailed>();
        let problem = format!("{error:#}");
        let problem = if is_of_store { with_hint(problem, args) } else { problem };
        anyhow!("--address {}: {problem}", server.address)
    })
}

async fn take(server: &Server, args: &RunLocked, owner: &str) -> Result<Option<RemoteLease>> {
    let hold = RemoteLock::of(server, args, owner);
    let begun = Instant::now();
    let Some(lease) = acquire(&hold, args).await? else { return Ok(None) };
    let valid_for = validity(&lease)?;
    let mut renewing = Renewing::of(hold.clone());
    let valid_until = match args.wait.is_zero() {
        true => after(begun, valid_for, Instant::checked_add),
        // After a wait, it is unknown how long ago the server sent the answer: the lock may have expired since.
        false => {
            let valid_until = after(Instant::now(), valid_for, Instant::checked_add);
            let schedule = renewing.schedule;
            let renewed = schedule.prolong(valid_until, &mut renewing).await;
            renewed.map_err(|lost| anyhow!("the lock was lost at once: {lost}"))?
        }
    };
    let fencing_token = match lease["fencingToken"].as_str() {
        Some(number) => Some(number.parse().context("the fencing token is not a number")?),
        None => None,
    };
    let (sender, lost) = watch::channel(None);
    let renewing = tokio::spawn(renewing.renew(valid_until, sender)).abort_handle();
    Ok(Some(RemoteLease { hold, fencing_token, lost, renewing }))
}

/// The lease; `None` if the lock was not free in time.
async fn acquire(hold: &RemoteLock, args: &RunLocked) -> Result<Option<Value>> {
    let deadline = after(Instant::now(), args.wait, Instant::checked_add);
    let mut asked = false;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = if asked { left } else { args.wait };
        let answer =
            timeout(left.saturating_add(ANSWER_TIMEOUT), hold.acquire(wait, !args.no_fencing));
        let answer =
            answer.await.unwrap_or_else(|_| Err(anyhow!("no answer within {ANSWER_TIMEOUT:?}")));
        // A server that shuts down ends all waits, and another one may soon start.
        let is_clear =
            answer.as_ref().map_or_else(|problem| problem.is::<ShuttingDown>(), |_| true);
        let refused = match answer {
            Ok(answer) if answer["success"] == true => return Ok(Some(answer)),
            Err(problem) if !asked && !is_clear => return Err(problem),
            refused => refused.map(|_held| None),
        };
        loop {
            if Instant::now() + RETRY_PAUSE >= deadline {
                return refused;
            }
            sleep(RETRY_PAUSE).await;
            // The next try might find the lock held by its own owner.
            if is_clear || hold.give_back().await {
                break;
            }
        }
        asked = true;
    }
}

impl RemoteLock {
    fn of(server: &Server, args: &RunLocked, owner: &str) -> Self {
        Self {
            server: server.clone(),
            store: args.store.clone(),
            resource: args.resource.clone(),
            owner: owner.to_owned(),
            ttl: args.ttl,
        }
    }

    async fn call(&self, call: &str, body: &Value) -> Result<Value> {
        self.server.call(&self.store, call, body).await
    }

    /// Tries once to take the lock, and waits for it that long: the body of the answer.
    async fn acquire(&self, wait: Duration, fenced: bool) -> Result<Value> {
        let body = json!({
            "resourceId": self.resource,
            "lockOwner": self.owner,
            "ttl": text(self.ttl),
            "wait": text(wait),
            "fenced": fenced,
        });
        self.call("acquire", &body).await
    }

    /// Releases a lock that may have been taken. Returns whether the lock is surely not held any more.
    async fn give_back(&self) -> bool {
        match timeout(GIVING_BACK, self.release()).await {
            Ok(Ok(_status)) => true,
            Ok(Err(problem)) => {
                tracing::debug!("could not give back a lock that may have been taken: {problem:#}");
                false
            }
            Err(_slow) => false,
        }
    }

    async fn release(&self) -> Result<UnlockStatus> {
        let body = json!({"resourceId": self.resource, "lockOwner": self.owner});
        match self.call("release", &body).await?["status"].as_i64() {
            Some(0) => Ok(UnlockStatus::Success),
            Some(1) => Ok(UnlockStatus::LockDoesNotExist),
            Some(2) => Ok(UnlockStatus::LockBelongsToOthers),
            _ => bail!("the answer has no status"),
        }
    }

    /// Makes the lock last for its time to live from now.
    async fn extend(&self) -> Result<Renewal> {
        let body = json!({
            "resourceId": self.resource,
            "lockOwner": self.owner,
            "ttl": text(self.ttl),
        });
        let answer = self.call("extend", &body).await?;
        match answer["status"].as_i64() {
            Some(0) => Ok(Renewal::Held(validity(&answer)?)),
            Some(1) => Ok(Renewal::Lost(Lost::Gone)),
            Some(2) => Ok(Renewal::Lost(Lost::HeldByOther)),
            _ => bail!("the answer has no status"),
        }
    }

    /// Waits for this long, and then until the server reports that the lock may be lost. Never returns if the server
    /// cannot report it.
    async fn doubtful(self, pause: Duration) {
        let body = json!({
            "resourceId": self.resource,
            "lockOwner": self.owner,
            "wait": text(AWAIT_LOSS_WAIT),
        });
        sleep(pause).await;
        loop {
            let asked = Instant::now();
            let answer =
                timeout(AWAIT_LOSS_WAIT + ANSWER_TIMEOUT, self.call("await-loss", &body)).await;
            match answer.unwrap_or_else(|_| Err(anyhow!("no answer"))) {
                Ok(answer) if answer["status"] == 0 => {
                    sleep_until(asked + MIN_AWAIT_LOSS_INTERVAL).await
                }
                Ok(_) => return,
                // The server may lack this call, or a proxy may block it.
                Err(problem) => {
                    tracing::debug!("cannot watch for a loss before the next renewal: {problem:#}");
                    sleep((self.ttl / 10).clamp(MIN_AWAIT_LOSS_INTERVAL, ANSWER_TIMEOUT)).await;
                }
            }
        }
    }
}

impl Renewing {
    fn of(lock: RemoteLock) -> Self {
        let schedule = Schedule { ttl: lock.ttl, between: Duration::ZERO };
        let doubt = lock.clone().doubtful(Duration::ZERO).boxed();
        Self { lock, schedule, doubt }
    }

    /// Renews the lock until it is lost.
    async fn renew(mut self, valid_until: Instant, sender: watch::Sender<Option<Lost>>) {
        let schedule = self.schedule;
        let lost = schedule.keep(valid_until, &mut self, |_valid_until| {}).await;
        sender.send_replace(Some(lost));
    }
}

impl renewal::Renewable for Renewing {
    async fn wait_for_doubt(&mut self, _valid_until: Instant) {
        self.doubt.as_mut().await;
        self.doubt = self.lock.clone().doubtful(MIN_AWAIT_LOSS_INTERVAL).boxed();
    }

    /// Waits for an answer for a quarter of the time to live, at most [`ANSWER_TIMEOUT`], so that another try fits in.
    async fn extend(&mut self) -> Renewal {
        let limit = (self.lock.ttl / 4).min(ANSWER_TIMEOUT);
        let address = &self.lock.server.address;
        let problem = match timeout(limit, self.lock.extend()).await {
            Ok(Ok(renewal)) => return renewal,
            Ok(Err(error)) => format!("{address}: {error:#}"),
            Err(_slow) => format!("{address}: no answer"),
        };
        tracing::info!("the lock is not renewed yet: {problem}");
        Renewal::Unknown(problem)
    }
}

impl RemoteLease {
    /// The fencing token, if the grant has one.
    pub fn fencing_token(&self) -> Option<u64> {
        self.fencing_token
    }

    /// Waits until the lock is lost.
    pub async fn lost(&self) -> Lost {
        let mut lost = self.lost.clone();
        match lost.wait_for(Option::is_some).await {
            Ok(lost) => lost.clone().unwrap_or(Lost::Gone),
            // Only a panic ends the renewal without a word.
            Err(_closed) => Lost::NotRenewed("the renewal has ended".to_owned()),
        }
    }

    /// Stops renewing the lock and lets it expire.
    pub fn leave(self) {
        self.renewing.abort();
    }

    /// Releases the lock.
    pub async fn release(self) -> Result<UnlockStatus> {
        self.renewing.abort();
        let released = timeout(ANSWER_TIMEOUT / 2, self.hold.release()).await;
        let released = released.unwrap_or_else(|_| Err(anyhow!("no answer")));
        released.with_context(|| format!("--address {}", self.hold.server.address))
    }
}

/// The time for which the lock is surely held, from an answer.
fn validity(answer: &Value) -> Result<Duration> {
    let valid_for = answer["validFor"].as_str().and_then(parse_go_duration);
    let valid_for = valid_for.and_then(|valid_for| u64::try_from(valid_for).ok());
    valid_for.map(Duration::from_nanos).context("the answer does not say for how long it is valid")
}

/// The form of a time in the API, rounded up as the library rounds it.
fn text(time: Duration) -> String {
    duration(whole_milliseconds(time))
}
