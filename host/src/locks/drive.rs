//! A call from its first step to its answer: the rules check it, the store carries it out, and the rules give the
//! answer to the outcome.

use std::{
    pin::pin,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::{
    admission::{Admission, Turn},
    answers::RememberedAnswers,
    app::{self, App, Choice},
    calls::{Call, CallCounters},
    owner::fresh_owner,
    result::{ErrorKind, Ordinary},
    store::NamedStore,
};
use crate::{
    error::Error,
    runtime::Pool,
    store::Acquired,
    types::{
        AcquireStep, Answer, Begun, ExtendStep, Form, InspectStep, Outcome, ReleaseStep, Request,
        Verb,
    },
};

/// The state that all handles to the same stores share.
pub(super) struct Shared {
    pub(super) pool: Pool,
    pub(super) stores: Vec<Arc<NamedStore>>,
    pub(super) admission: Admission,
    pub(super) answers: RememberedAnswers,
    /// Work that callers left behind.
    pub(super) background: TaskTracker,
    /// Whether the stores are closed.
    pub(super) closed: AtomicBool,
    /// Counts the calls that name an unknown store.
    pub(super) calls_to_unknown: CallCounters,
}

/// The answer to a call.
pub(super) struct CallAnswer {
    pub(super) answer: Answer,
    /// The fencing token, if a store that gives every grant one answered a try-lock with a grant.
    pub(super) fencing_token: Option<u64>,
}

/// The verb and the form of a call, without its arguments.
#[derive(Clone, Copy)]
pub(super) struct Question {
    pub(super) verb: Verb,
    pub(super) form: Form,
}

impl Shared {
    /// Carries out a call, and counts and traces it. `owner` is the lock owner of a request in typed form.
    pub(super) async fn call(
        &self,
        app: &App,
        store_name: &str,
        request: Request<'_>,
        owner: Option<&str>,
    ) -> Result<CallAnswer, Error> {
        let choice = app.store(store_name);
        let mut call = self.count(choice, request.verb(), store_name);
        let span = call.span().clone();
        let answer = {
            // Pinned here, so that the future is not moved and exists once, although two branches await it.
            let driving = pin!(async {
                let turn = self.admission.turn().await?;
                let question = Question { verb: request.verb(), form: request.form() };
                let chosen = app::chosen(choice, store_name);
                match self.pool.begin(&app.scope, chosen, request)? {
                    Begun::Answered(answer) => Ok(answer),
                    begun => {
                        let choice = choice.ok_or_else(|| wrong("asks an unknown store"))?;
                        self.drive(&mut call, turn, question, &choice.store, begun, owner).await
                    }
                }
            });
            match span.is_disabled() {
                true => driving.await,
                false => driving.instrument(span).await,
            }
        };
        match &answer {
            Ok(answer) => {
                if let Some(error) = answer.error() {
                    call.set_result(ErrorKind::from(error));
                }
            }
            Err(error) => call.set_result(ErrorKind::from(error)),
        }
        Ok(CallAnswer { answer: answer?, fencing_token: call.fencing_token })
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

    /// Carries out the step of a call. `typed_owner` is the lock owner of a request in typed form.
    async fn drive<'s>(
        &'s self,
        call: &mut Call<'_>,
        turn: Turn<'s>,
        question: Question,
        store: &NamedStore,
        begun: Begun,
        typed_owner: Option<&str>,
    ) -> Result<Answer, Error> {
        match begun {
            Begun::Acquire(step) if question.verb == Verb::Acquire => {
                let owner = step.owner.as_deref().or(typed_owner);
                let owner = owner.map_or_else(fresh_owner, str::to_owned);
                // Boxed, because a future that may wait is large, and would make the future of every call as large.
                Box::pin(self.answer_acquire(call, turn, question, store, step, owner)).await
            }
            Begun::Acquire(AcquireStep { key, owner, ttl, .. }) => {
                let owner = owner_of(owner.as_deref(), typed_owner)?;
                let ttl = Duration::from_millis(ttl);
                self.acquire(call, question, store, &key, owner, ttl).await
            }
            Begun::Release(ReleaseStep { key, owner }) => {
                let owner = owner_of(owner.as_deref(), typed_owner)?;
                match store.release(call, &key, owner).await {
                    Ok(released) => self.answer(question, Outcome::Released(released)),
                    Err(failure) => self.answer(question, Outcome::Failed(&failure)),
                }
            }
            Begun::Extend(ExtendStep { key, owner, ttl, may_shorten }) => {
                let owner = owner_of(owner.as_deref(), typed_owner)?;
                let ttl = Duration::from_millis(ttl);
                match (store.extend(call, &key, owner, ttl, may_shorten).await, question.form) {
                    (Ok(extended), Form::Typed) => Ok(Answer::Extend(extended)),
                    (Ok(extended), Form::Json) => {
                        self.answer(question, Outcome::Extended(extended))
                    }
                    (Err(failure), _) => self.answer(question, Outcome::Failed(&failure)),
                }
            }
            Begun::Inspect(InspectStep { key }) => {
                match (store.inspect(call, &key).await, question.form) {
                    (Ok(holding), Form::Typed) => Ok(Answer::Inspect(holding)),
                    (Ok(holding), Form::Json) => {
                        self.answer(question, Outcome::Inspected(holding.as_ref()))
                    }
                    (Err(failure), _) => self.answer(question, Outcome::Failed(&failure)),
                }
            }
            Begun::ListLocks(_) | Begun::ForceRelease(_) => {
                Err(wrong("asks for a step that does not belong to the call"))
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
        let (outcome, since) = store.acquire(call, key, owner, ttl, false).await;
        let acquired = match outcome {
            Ok(acquired) => acquired,
            Err(failure) => return self.answer(question, Outcome::Failed(&failure)),
        };
        let answer = self.answer(question, Outcome::Acquired(acquired));
        if let Acquired::Granted(grant) = acquired {
            match answer {
                Ok(_) => {
                    call.fencing_token = grant.fencing_token.filter(|_| store.fencing);
                    store.metrics.holds.begin(key, owner, since, ttl);
                }
                Err(_) => release_unused(store, key, owner).await,
            }
        }
        answer
    }

    /// The answer to an outcome, for the caller.
    pub(super) fn answer(&self, question: Question, outcome: Outcome<'_>) -> Result<Answer, Error> {
        let Question { verb, form } = question;
        match Ordinary::of(&outcome) {
            Some(ordinary) => {
                self.answers.get(verb, form, ordinary, || self.pool.end(verb, form, outcome))
            }
            None => self.pool.end(verb, form, outcome),
        }
    }
}

/// The owner of a step, or else of the request.
fn owner_of<'a>(step: Option<&'a str>, request: Option<&'a str>) -> Result<&'a str, Error> {
    step.or(request).ok_or_else(|| wrong("names no owner"))
}

/// Releases a lock whose caller gets an error.
pub(super) async fn release_unused(store: &NamedStore, key: &str, owner: &str) {
    let released = store.store.release(key, owner).await;
    store.waits.freed(key);
    if let Err(failure) = released {
        tracing::warn!("could not release an unused lock: {}", failure.cause());
    }
}

pub(super) fn wrong(problem: &str) -> Error {
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

    /// The component traps on this question, because an unlock cannot have the outcome of an acquire.
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
