//! A call from its first step to its answer: the rules check it, the store carries it out, and the rules
//! say what the outcome means.

use std::{sync::Arc, time::Duration};

use tracing::Instrument;

use super::{
    admission::Admission,
    answers::Answers,
    app::{self, App, Choice},
    calls::{Call, CallCounters},
    result::{ErrorKind, Ordinary},
    store::NamedStore,
};
use crate::{
    error::Error,
    runtime::{Pool, Scope},
    store::Acquired,
    types::{AcquireStep, Answer, Begun, Form, Outcome, ReleaseStep, Request, StoreChoice, Verb},
};

/// What all handles to the same stores share.
pub(super) struct Shared {
    pub(super) pool: Pool,
    pub(super) stores: Vec<Arc<NamedStore>>,
    pub(super) admission: Admission,
    pub(super) answers: Answers,
    /// Counts the calls that name an unknown store.
    pub(super) calls_to_unknown: CallCounters,
}

/// What a call asks, apart from its arguments.
#[derive(Clone, Copy)]
struct Question {
    verb: Verb,
    form: Form,
}

impl Shared {
    /// Carries out a call, counted and traced. `owner` is the lock owner of a request in typed form.
    pub(super) async fn call(
        &self,
        app: &App,
        store_name: &str,
        request: Request<'_>,
        owner: Option<&str>,
    ) -> Result<Answer, Error> {
        let choice = app.store(store_name);
        let mut call = self.count(choice, request.verb(), store_name);
        let span = call.span().clone();
        let driving = async {
            let _turn = self.admission.turn().await?;
            let store = app::chosen(choice, store_name);
            self.drive(&mut call, &app.scope, choice, store, request, owner).await
        };
        let answer = match span.is_disabled() {
            true => driving.await,
            false => driving.instrument(span).await,
        };
        match &answer {
            Ok(answer) => {
                if let Some(error) = answer.error() {
                    call.set_result(ErrorKind::from(error));
                }
            }
            Err(error) => call.set_result(ErrorKind::from(error)),
        }
        answer
    }

    /// Begins to count and trace a call.
    pub(super) fn count<'a>(
        &'a self,
        choice: Option<&'a Choice>,
        verb: Verb,
        store_name: &str,
    ) -> Call<'a> {
        let counters = match choice {
            Some(choice) => &choice.store.metrics.calls,
            None => &self.calls_to_unknown,
        };
        counters.begin(verb, store_name)
    }

    async fn drive(
        &self,
        call: &mut Call<'_>,
        scope: &Scope,
        choice: Option<&Choice>,
        store: StoreChoice<'_>,
        request: Request<'_>,
        typed_owner: Option<&str>,
    ) -> Result<Answer, Error> {
        let question = Question { verb: request.verb(), form: request.form() };
        let begun = self.pool.begin(scope, store, request)?;
        if let Begun::Answered(answer) = begun {
            return Ok(answer);
        }
        let store = choice.ok_or_else(|| wrong("asks an unknown store"))?.store.as_ref();
        match begun {
            Begun::Acquire(AcquireStep { key, owner, ttl }) => {
                let owner =
                    owner.as_deref().or(typed_owner).ok_or_else(|| wrong("names no owner"))?;
                let ttl = Duration::from_millis(ttl);
                self.acquire(call, question, store, &key, owner, ttl).await
            }
            Begun::Release(ReleaseStep { key, owner }) => {
                let owner =
                    owner.as_deref().or(typed_owner).ok_or_else(|| wrong("names no owner"))?;
                let outcome = store.release(call, &key, owner).await;
                self.answer(question, Outcome::Release(outcome.as_ref().copied()))
            }
            Begun::Answered(answer) => Ok(answer),
        }
    }

    async fn acquire(
        &self,
        call: &mut Call<'_>,
        question: Question,
        store: &NamedStore,
        key: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<Answer, Error> {
        let (outcome, since) = store.acquire(call, key, owner, ttl).await;
        let answer = self.answer(question, Outcome::Acquire(outcome.as_ref().copied()));
        if let Ok(Acquired::Granted(_)) = outcome {
            match answer {
                Ok(_) => store.metrics.holds.begin(key, owner, since, ttl),
                Err(_) => release_unused(store, key, owner).await,
            }
        }
        answer
    }

    /// What the outcome means to the caller.
    fn answer(&self, question: Question, outcome: Outcome<'_>) -> Result<Answer, Error> {
        let Question { verb, form } = question;
        match Ordinary::of(&outcome) {
            Some(ordinary) => {
                self.answers.get(verb, form, ordinary, || self.pool.end(verb, form, outcome))
            }
            None => self.pool.end(verb, form, outcome),
        }
    }
}

/// Releases a lock whose caller gets an error.
async fn release_unused(store: &NamedStore, key: &str, owner: &str) {
    if let Err(failure) = store.store.release(key, owner).await {
        tracing::warn!("a lock that nobody uses could not be released: {}", failure.cause());
    }
}

fn wrong(problem: &str) -> Error {
    Error::Component(format!("it {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Locks,
        store::{Released, Store, memory::MemoryStore},
    };

    const MINUTE: Duration = Duration::from_secs(60);

    /// The component traps on it: an unlock cannot have the outcome of an acquire.
    const TRAPS: Question = Question { verb: Verb::Unlock, form: Form::Typed };

    /// Acquires `k` for `me`, and asks for an answer that the component cannot give.
    async fn acquire_and_trap(store: &Arc<MemoryStore>) -> Result<Answer, Error> {
        let locks = Locks::builder().store("s", store.clone()).build().unwrap();
        let choice = locks.app.store("s").unwrap();
        let mut call = locks.shared.count(Some(choice), Verb::TryLock, "s");
        locks.shared.acquire(&mut call, TRAPS, &choice.store, "k", "me", MINUTE).await
    }

    #[tokio::test]
    async fn a_grant_is_released_when_its_call_fails() {
        let store = Arc::new(MemoryStore::new());
        let failed = acquire_and_trap(&store).await;
        assert!(matches!(failed, Err(Error::Component(_))), "{failed:?}");
        assert_eq!(store.release("k", "me").await, Ok(Released::Missing));
    }

    #[tokio::test]
    async fn a_lock_that_was_held_already_is_not_released_when_a_call_fails() {
        let store = Arc::new(MemoryStore::new());
        assert!(store.acquire("k", "me", MINUTE).await.is_ok());
        let failed = acquire_and_trap(&store).await;
        assert!(matches!(failed, Err(Error::Component(_))), "{failed:?}");
        assert_eq!(store.release("k", "me").await, Ok(Released::Released));
    }
}
