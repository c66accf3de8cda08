//! Asking many servers the same question at once.

use std::time::Duration;

use futures_util::{StreamExt, stream::FuturesUnordered};
use holdfast_redis_rules::address::Address;
use tokio::time::{Instant, timeout_at};

use super::dial_error::DialError;

/// How long to wait for the others once a majority has answered.
const GRACE: Duration = Duration::from_millis(200);

/// Asks all servers at once. Returns the answers that are there [`GRACE`] after a majority of the servers has answered,
/// or why no server answered. `what` names the missing answer in the error.
///
/// A few quick answers do not end the wait: these servers may be cut off from the others, and know only what was true
/// before. As long as there is no majority, all are waited for, so `ask` must end by itself where its server is silent.
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
    let majority = servers.len() / 2 + 1;
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
                answers.push(answer);
                if answers.len() == majority {
                    deadline = Some(Instant::now() + GRACE);
                }
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
    DialError { cause: format!("{what}: {}", causes.join("; ")), may_pass, refused: None, login }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);

    /// Asks servers that answer after these milliseconds; `None` for one that is silent until its limit. Returns those
    /// that were heard, and after how many milliseconds.
    async fn heard(servers: &[Option<u64>]) -> (Result<Vec<u64>, DialError>, u128) {
        let begun = Instant::now();
        let after: Vec<_> = servers.iter().map(|after| after.map(Duration::from_millis)).collect();
        // Each finds its own by its port.
        let addresses = (0..).zip(servers).map(|(port, _)| Address { host: "h".to_owned(), port });
        let heard = ask_all(addresses.collect(), "nobody answered", async |server: Address| {
            match after[usize::from(server.port)] {
                Some(after) => {
                    sleep(after).await;
                    Ok(u64::try_from(after.as_millis()).unwrap())
                }
                None => {
                    sleep(LIMIT).await;
                    Err(DialError::passing("it is silent".to_owned()))
                }
            }
        });
        (heard.await, begun.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn the_others_have_little_time_once_a_majority_has_answered() {
        assert_eq!(heard(&[Some(1), Some(10), None]).await, (Ok(vec![1, 10]), 210));
        assert_eq!(heard(&[Some(1), Some(10), Some(209)]).await, (Ok(vec![1, 10, 209]), 209));
        assert_eq!(heard(&[Some(1), Some(10), Some(211)]).await, (Ok(vec![1, 10]), 210));
        assert_eq!(heard(&[Some(7)]).await, (Ok(vec![7]), 7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_quick_answers_do_not_end_the_wait() {
        assert_eq!(heard(&[Some(1), Some(900), Some(901)]).await, (Ok(vec![1, 900, 901]), 901));
        // Half of them is no majority.
        let half = [Some(1), Some(2), Some(1_500), None];
        assert_eq!(heard(&half).await, (Ok(vec![1, 2, 1_500]), 1_700));
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_others_are_silent_a_few_answers_count_in_the_end() {
        assert_eq!(heard(&[Some(1), None, None]).await, (Ok(vec![1]), 2_000));
        let (nobody, after) = heard(&[None, None]).await;
        let cause = "nobody answered: h:0: it is silent; h:1: it is silent";
        assert_eq!((nobody.unwrap_err().cause.as_str(), after), (cause, 2_000));
    }
}
