//! Asks many servers the same question at once.

use std::time::Duration;

use futures_util::{StreamExt, stream::FuturesUnordered};
use holdfast_redis_rules::address::Address;
use tokio::time::{Instant, timeout_at};

use super::dial_error::DialError;

/// How long to wait for the other servers after a majority has answered.
const GRACE: Duration = Duration::from_millis(200);

/// How long to wait for a server if nothing else limits this.
const DEFAULT_LIMIT: Duration = Duration::from_millis(2_500);

/// How long to wait for one of several servers. The limit leaves time for the others.
pub(super) fn limit(dial_timeout: Option<Duration>) -> Duration {
    dial_timeout.map_or(DEFAULT_LIMIT, |limit| limit / 2)
}

/// The answers of some servers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answers<A> {
    pub(super) answers: Vec<A>,
    /// Whether a majority of the servers that count has answered.
    pub(super) of_majority: bool,
}

/// Asks all servers at once. Returns the answers that have come [`GRACE`] after a majority of the first `counted`
/// servers has answered, or why no server answered. `what` names the missing answer in the error.
///
/// A few quick answers do not end the wait: these servers may be cut off from the others, and know only an old state.
/// Without a majority, the call waits for all servers, so `ask` must end by itself if its server is silent.
pub(super) async fn ask_all<A, F>(
    servers: Vec<Address>,
    counted: usize,
    what: &str,
    ask: impl Fn(Address) -> F,
) -> Result<Answers<A>, DialError>
where
    F: Future<Output = Result<A, DialError>>,
{
    let ask = |(at, server): (usize, Address)| {
        let answer = ask(server.clone());
        async move { answer.await.map(|answer| (at, answer)).map_err(|error| error.about(server)) }
    };
    // How many answers a majority lacks.
    let mut missing = counted / 2 + 1;
    let mut asked: FuturesUnordered<_> = servers.into_iter().enumerate().map(ask).collect();
    let (mut answers, mut errors) = (Vec::new(), Vec::new());
    let mut deadline = None;
    loop {
        let answer = match deadline {
            None => asked.next().await,
            Some(deadline) => timeout_at(deadline, asked.next()).await.ok().flatten(),
        };
        match answer {
            None => break,
            Some(Ok((at, answer))) => {
                answers.push(answer);
                missing = missing.saturating_sub(usize::from(at < counted));
                if missing == 0 {
                    deadline.get_or_insert_with(|| Instant::now() + GRACE);
                }
            }
            Some(Err(error)) => errors.push(error),
        }
    }
    match answers.is_empty() {
        true => Err(combined(what, errors)),
        false => Ok(Answers { answers, of_majority: missing == 0 }),
    }
}

/// Adds the servers that are not in the list yet, up to `most` in all.
pub(super) fn add_servers(
    servers: &mut Vec<Address>,
    named: impl IntoIterator<Item = Address>,
    most: usize,
) {
    for server in named {
        if servers.len() < most && !servers.contains(&server) {
            servers.push(server);
        }
    }
}

fn combined(what: &str, mut errors: Vec<DialError>) -> DialError {
    let may_pass = errors.is_empty() || errors.iter().any(|error| error.may_pass);
    // A wrong login is more useful to know than a missing one.
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

    /// Asks servers that answer after these milliseconds; `None` for a server that is silent until its limit. Returns
    /// the servers that were heard, and after how many milliseconds.
    async fn heard(servers: &[Option<u64>]) -> (Result<Vec<u64>, DialError>, u128) {
        heard_of(servers, servers.len()).await
    }

    /// The same as [`heard`], but only the first `counted` servers count for the majority.
    async fn heard_of(
        servers: &[Option<u64>],
        counted: usize,
    ) -> (Result<Vec<u64>, DialError>, u128) {
        let begun = Instant::now();
        let heard = answers_of(servers, counted).await;
        (heard.map(|heard| heard.answers), begun.elapsed().as_millis())
    }

    async fn answers_of(
        servers: &[Option<u64>],
        counted: usize,
    ) -> Result<Answers<u64>, DialError> {
        let after: Vec<_> = servers.iter().map(|after| after.map(Duration::from_millis)).collect();
        // Each closure finds its own server by the port.
        let addresses = (0..).zip(servers).map(|(port, _)| Address { host: "h".to_owned(), port });
        ask_all(
            addresses.collect(),
            counted,
            "nobody answered",
            async |server: Address| match after[usize::from(server.port)] {
                Some(after) => {
                    sleep(after).await;
                    Ok(u64::try_from(after.as_millis()).unwrap())
                }
                None => {
                    sleep(LIMIT).await;
                    Err(DialError::passing("it is silent".to_owned()))
                }
            },
        )
        .await
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
        // Half of the servers is not a majority.
        let half = [Some(1), Some(2), Some(1_500), None];
        assert_eq!(heard(&half).await, (Ok(vec![1, 2, 1_500]), 1_700));
    }

    #[tokio::test(start_paused = true)]
    async fn a_majority_of_those_that_count_is_enough() {
        let servers = [Some(1), Some(20), None, Some(5), None, None];
        assert_eq!(heard_of(&servers, 3).await, (Ok(vec![1, 5, 20]), 220));
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_others_are_silent_a_few_answers_count_in_the_end() {
        assert_eq!(heard(&[Some(1), None, None]).await, (Ok(vec![1]), 2_000));
        let (nobody, after) = heard(&[None, None]).await;
        let cause = "nobody answered: h:0: it is silent; h:1: it is silent";
        assert_eq!((nobody.unwrap_err().cause.as_str(), after), (cause, 2_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_majority_is_one_of_those_that_count() {
        for (servers, counted, expected) in [
            (&[Some(1), Some(2), None][..], 3, true),
            (&[Some(1), None, None], 3, false),
            // The servers that do not count lead nowhere, and make no majority.
            (&[Some(1), Some(2), None, None, None, None], 3, true),
            (&[Some(1), None, None, Some(2), Some(3), Some(4)], 3, false),
        ] {
            let answers = answers_of(servers, counted).await.unwrap();
            assert_eq!(answers.of_majority, expected, "{servers:?}");
        }
    }
}
