//! Asking many servers the same question at once.

use std::time::Duration;

use futures_util::{StreamExt, stream::FuturesUnordered};
use holdfast_redis_rules::address::Address;
use tokio::time::{Instant, timeout_at};

use super::dial_error::DialError;

/// How long to wait for the others once one has answered.
const GRACE: Duration = Duration::from_millis(200);

/// Asks all servers at once. Returns the answers that arrive within [`GRACE`] after the first one, or why no server
/// answered. `what` names the missing answer in the error.
pub(super) async fn ask_all<A, F>(
    servers: Vec<Address>,
    what: &str,
    ask: impl Fn(Address) -> F,
) -> Result<Vec<A>, DialError>
where
    F: Future<Output = Result<A, DialError>>,
{
    let ask = |server: Address| {
        let answer = ask(server.clone());
        async move { answer.await.map_err(|error| error.about(server)) }
    };
    let mut asked: FuturesUnordered<_> = servers.into_iter().map(ask).collect();
    let (mut answers, mut errors) = (Vec::new(), Vec::new());
    let mut deadline = None;
    loop {
        let answer = match deadline {
            None => asked.next().await,
            Some(deadline) => timeout_at(deadline, asked.next()).await.ok().flatten(),
        };
        match answer {
            None => break,
            Some(Ok(answer)) => {
                deadline.get_or_insert_with(|| Instant::now() + GRACE);
                answers.push(answer);
            }
            Some(Err(error)) => errors.push(error),
        }
    }
    if answers.is_empty() { Err(combined(what, errors)) } else { Ok(answers) }
}

fn combined(what: &str, mut errors: Vec<DialError>) -> DialError {
    let may_pass = errors.is_empty() || errors.iter().any(|error| error.may_pass);
    // A wrong login says more than a missing one.
    let login = errors.iter().filter_map(|error| error.login).max();
    errors.sort_by(|one, other| one.cause.cmp(&other.cause));
    let causes: Vec<String> = errors.into_iter().map(|error| error.cause).collect();
    DialError { cause: format!("{what}: {}", causes.join("; ")), may_pass, unfit: None, login }
}
