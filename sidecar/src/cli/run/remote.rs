//! The lock through a running server, over its HTTP API.

use std::{pin::pin, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use holdfast::{Lost, UnlockStatus};
use holdfast_dapr_api::TOKEN_HEADER;
use holdfast_rules::json::duration;
use holdfast_timing::go_duration::parse_go_duration;
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
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};

use super::{
    super::{
        address::{Address, token},
        arguments::RunLocked,
        client::{self, Port, ShuttingDown, refusal},
    },
    problem::with_hint,
};

/// How long a server may take to answer, apart from a wait for the lock.
const ANSWER: Duration = Duration::from_secs(10);

/// How long to try to give back what may have been taken.
pub const GIVING_BACK: Duration = Duration::from_secs(2);

/// How long to wait before asking the server again after it ended a wait early.
const AGAIN: Duration = Duration::from_millis(250);

/// How long one `await-loss` call waits: a proxy in between may close a connection that is silent for longer.
const LISTENING: Duration = Duration::from_secs(30);

/// The shortest time between two questions for a loss.
const BETWEEN: Duration = Duration::from_secs(1);

/// A server.
#[derive(Clone)]
pub struct Server {
    address: Address,
    token: Option<HeaderValue>,
}

/// What is held.
#[derive(Clone)]
struct RemoteLock {
    server: Server,
    store: String,
    resource: String,
    owner: String,
    ttl: Duration,
}

/// A lock that is held, and renewed in the background at each third of its time to live.
pub struct Kept {
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

    /// Releases what may have been taken, if the server can be asked.
    pub async fn give_back(&self, args: &RunLocked, owner: &str) {
        let hold = RemoteLock::of(self, args, owner);
        if let Ok(Err(problem)) = timeout(GIVING_BACK, hold.release()).await {
            tracing::debug!("what may have been taken: {problem:#}");
        }
    }
}

/// Takes the lock, and renews it from then on.
pub async fn hold(server: &Server, args: &RunLocked, owner: &str) -> Result<Option<Kept>> {
    let kept = take(server, args, owner).await;
    if kept.is_err() {
        server.give_back(args, owner).await;
    }
    kept.map_err(|error| {
        let problem = with_hint(format!("{error:#}"), args);
        anyhow!("--address {}: {problem}", server.address)
    })
}

async fn take(server: &Server, args: &RunLocked, owner: &str) -> Result<Option<Kept>> {
    let hold = RemoteLock::of(server, args, owner);
    let begun = Instant::now();
    let Some(lease) = acquire(&hold, args).await? else { return Ok(None) };
    let valid_for = validity(&lease)?;
    let valid_until = match args.wait.is_zero() {
        true => after(begun, valid_for),
        // How long ago the answer was sent is not known after a wait: the lock may have run out since.
        false => {
            let renewed = hold.prolong(after(Instant::now(), valid_for)).await;
            renewed.map_err(|lost| anyhow!("the lock was lost at once: {lost}"))?
        }
    };
    let fencing_token = match lease["fencingToken"].as_str() {
        Some(number) => Some(number.parse().context("the fencing token is not a number")?),
        None => None,
    };
    let (sender, lost) = watch::channel(None);
    let renewing = tokio::spawn(hold.clone().renew(valid_until, sender)).abort_handle();
    Ok(Some(Kept { hold, fencing_token, lost, renewing }))
}

/// The lease; `None` if the lock was not free in time.
async fn acquire(hold: &RemoteLock, args: &RunLocked) -> Result<Option<Value>> {
    let deadline = after(Instant::now(), args.wait);
    let mut asked = false;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let body = json!({
            "resourceId": hold.resource,
            "lockOwner": hold.owner,
            "ttl": text(hold.ttl),
            "wait": text(if asked { left } else { args.wait }),
            "fenced": !args.no_fencing,
        });
        let answer = timeout(left.saturating_add(ANSWER), hold.call("acquire", &body)).await;
        match answer.unwrap_or_else(|_| Err(anyhow!("no answer within {ANSWER:?}"))) {
            Ok(answer) if answer["success"] == true => return Ok(Some(answer)),
            Err(problem) if !asked && !problem.is::<ShuttingDown>() => return Err(problem),
            // A server that ends lets all waits end, and there may soon be another one.
            answer => {
                if Instant::now() + AGAIN >= deadline {
                    return answer.map(|_held| None);
                }
            }
        }
        asked = true;
        sleep(AGAIN).await;
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

    async fn release(&self) -> Result<UnlockStatus> {
        let body = json!({"resourceId": self.resource, "lockOwner": self.owner});
        match self.call("release", &body).await?["status"].as_i64() {
            Some(0) => Ok(UnlockStatus::Success),
            Some(1) => Ok(UnlockStatus::LockDoesNotExist),
            Some(2) => Ok(UnlockStatus::LockBelongsToOthers),
            _ => bail!("the answer has no status"),
        }
    }

    /// Makes the lock last for its time to live from now: for how long it is surely held, or how it was lost.
    async fn extend(&self) -> Result<Result<Duration, Lost>> {
        let body = json!({
            "resourceId": self.resource,
            "lockOwner": self.owner,
            "ttl": text(self.ttl),
        });
        let answer = self.call("extend", &body).await?;
        match answer["status"].as_i64() {
            Some(0) => Ok(Ok(validity(&answer)?)),
            Some(1) => Ok(Err(Lost::Gone)),
            Some(2) => Ok(Err(Lost::HeldByOther)),
            _ => bail!("the answer has no status"),
        }
    }

    /// Waits until the server reports that the lock may be lost. Never returns if the server cannot report it.
    async fn doubtful(&self, pause: Duration) {
        let body = json!({
            "resourceId": self.resource,
            "lockOwner": self.owner,
            "wait": text(LISTENING),
        });
        sleep(pause).await;
        loop {
            let asked = Instant::now();
            let answer = timeout(LISTENING + ANSWER, self.call("await-loss", &body)).await;
            match answer.unwrap_or_else(|_| Err(anyhow!("no answer"))) {
                Ok(answer) if answer["status"] == 0 => sleep_until(asked + BETWEEN).await,
                Ok(_) => return,
                // The server may lack this call, or a proxy may block it.
                Err(problem) => {
                    tracing::debug!("a loss would be noticed only at a renewal: {problem:#}");
                    sleep((self.ttl / 10).clamp(BETWEEN, ANSWER)).await;
                }
            }
        }
    }

    /// Renews the lock until it is lost.
    async fn renew(self, mut valid_until: Instant, sender: watch::Sender<Option<Lost>>) {
        let mut doubtful = pin!(self.doubtful(Duration::ZERO));
        let lost = loop {
            let left = valid_until.saturating_duration_since(Instant::now());
            tokio::select! {
                () = sleep_until(valid_until - (self.ttl - self.ttl / 3).min(left)) => {}
                // The renewal finds out whether the lock is lost.
                () = &mut doubtful => doubtful.set(self.doubtful(BETWEEN)),
            }
            match self.prolong(valid_until).await {
                Ok(renewed) => valid_until = renewed,
                Err(lost) => break lost,
            }
        };
        sender.send_replace(Some(lost));
    }

    /// Renews the lock, and tries again until it is too late. Returns until when it is valid.
    async fn prolong(&self, valid_until: Instant) -> Result<Instant, Lost> {
        // A server that does not answer leaves time for another try.
        let limit = (self.ttl / 4).min(ANSWER);
        let mut problem = "no answer".to_owned();
        loop {
            let begun = Instant::now();
            let extending = timeout(limit, self.extend());
            match timeout_at(valid_until, extending).await {
                Ok(Ok(Ok(extended))) => return Ok(after(begun, extended?)),
                Ok(Ok(Err(error))) => problem = format!("{}: {error:#}", self.server.address),
                Ok(Err(_slow)) => problem = format!("{}: no answer", self.server.address),
                Err(_too_late) => return Err(Lost::NotRenewed(problem)),
            }
            tracing::info!("the lock is not renewed yet: {problem}");
            let next = Instant::now() + (self.ttl / 10).max(Duration::from_millis(1));
            sleep_until(next.min(valid_until)).await;
            if next >= valid_until {
                return Err(Lost::NotRenewed(problem));
            }
        }
    }
}

impl Kept {
    /// The number of the grant, if it has one.
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

    /// Releases the lock.
    pub async fn release(self) -> Result<UnlockStatus> {
        self.renewing.abort();
        let released = timeout(ANSWER / 2, self.hold.release()).await;
        let released = released.unwrap_or_else(|_| Err(anyhow!("no answer")));
        released.with_context(|| format!("--address {}", self.hold.server.address))
    }
}

/// For how long an answer says that the lock is surely held.
fn validity(answer: &Value) -> Result<Duration> {
    let valid_for = answer["validFor"].as_str().and_then(parse_go_duration);
    let valid_for = valid_for.and_then(|valid_for| u64::try_from(valid_for).ok());
    valid_for.map(Duration::from_nanos).context("the answer does not say for how long it is valid")
}

/// The form of a time in the API, rounded up as the library rounds it.
fn text(time: Duration) -> String {
    let milliseconds = time.as_nanos().div_ceil(1_000_000);
    duration(u64::try_from(milliseconds).unwrap_or(u64::MAX))
}

/// A time that the clock cannot hold becomes 136 years.
fn after(now: Instant, time: Duration) -> Instant {
    now.checked_add(time).unwrap_or(now + Duration::from_secs(u32::MAX.into()))
}
