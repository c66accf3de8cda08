//! The verbs of operators: the locks of all owners, and ending any hold.

use tracing::Instrument;

use super::{
    app,
    calls::Call,
    drive::{Question, wrong},
    handle::{Locks, Resource, no_verdict},
    result::ErrorKind,
    store::NamedStore,
};
use crate::{
    error::Error,
    store::{Failure, HeldKey, KeyPage},
    types::{
        self, Begun, ForceReleaseRequest, ForceReleaseStep, Form, HeldLock, ListRequest, ListStep,
        LockPage, Outcome, Request,
    },
};

impl Locks {
    /// Lists the locks that are held whose resource ids begin with `prefix`: about `limit` of them, from 1 to 1,000.
    ///
    /// `cursor` is `None` for the first page, then [`LockPage::next`] of the previous page. A page can have several
    /// hundred locks more than the limit. It can also be short or empty while more pages follow. A lock that is held
    /// throughout appears in at least one page; one that is taken or freed meanwhile may appear in any number of pages.
    /// If a server of the store restarts or is replaced between two pages, or a slot of a Redis Cluster moves, later
    /// pages may lack locks: begin again.
    ///
    /// # Errors
    ///
    /// See [`Error`]. No error is indeterminate.
    pub async fn list(
        &self,
        store: &str,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<LockPage, Error> {
        let request = Request::ListLocks(ListRequest { prefix, limit });
        self.administer(store, request, async |call, store, begun| match begun {
            Begun::ListLocks(ListStep { key_start, key_prefix, limit }) => {
                if cursor.is_some_and(|cursor| !store.store.is_cursor(cursor)) {
                    return Err(not_a_cursor(&store.name));
                }
                let page = store.list(call, &key_prefix, cursor, limit).await;
                Ok(page.map(|page| locks(&key_start, page)))
            }
            _ => Err(wrong("lists no locks")),
        })
        .await
    }

    /// Frees a lock of any owner, and returns that owner; `None` if the lock was free.
    ///
    /// The owner is not notified and may keep working: only a fencing token stops it.
    ///
    /// # Errors
    ///
    /// See [`Error`]. After an error that [is indeterminate](Error::is_indeterminate) the lock may be free or still
    /// held.
    pub async fn force_release(&self, resource: Resource<'_>) -> Result<Option<String>, Error> {
        let request = Request::ForceRelease(ForceReleaseRequest { resource_id: resource.id });
        self.administer(resource.store, request, async |call, store, begun| match begun {
            Begun::ForceRelease(ForceReleaseStep { key }) => {
                Ok(store.force_release(call, &key).await)
            }
            _ => Err(wrong("releases no lock")),
        })
        .await
    }

    /// The locks that calls of this process wait for, through any handle to the same stores, and how many calls wait
    /// for each. The resource ids begin with `prefix`.
    ///
    /// # Errors
    ///
    /// See [`Error`]. No error is indeterminate.
    pub fn waiting(&self, store: &str, prefix: &str) -> Result<Vec<(String, usize)>, Error> {
        let choice = self.app.store(store);
        let ListStep { key_start, key_prefix, .. } = self.keys(store, prefix)?;
        let choice = choice.ok_or_else(|| wrong("asks an unknown store"))?;
        let lines = choice.store.waits.lines(&key_prefix).into_iter();
        let ours = lines.filter_map(|(key, calls)| Some((resource_id(&key_start, &key)?, calls)));
        Ok(ours.collect())
    }

    /// The prefix of the keys of the resources whose ids begin with `prefix`. Only the rules know it.
    fn keys(&self, store: &str, prefix: &str) -> Result<ListStep, Error> {
        let chosen = app::chosen(self.app.store(store), store);
        let request = Request::ListLocks(ListRequest { prefix, limit: 1 });
        match self.shared.pool.begin(&self.app.scope, chosen, request)? {
            Begun::ListLocks(step) => Ok(step),
            Begun::Answered(answer) => Err(no_verdict(answer)),
            _ => Err(wrong("lists no locks")),
        }
    }

    /// Carries out a call, and counts and traces it.
    async fn administer<T>(
        &self,
        store_name: &str,
        request: Request<'_>,
        operate: impl AsyncFnOnce(
            &mut Call<'_>,
            &NamedStore,
            Begun,
        ) -> Result<Result<T, Failure>, Error>,
    ) -> Result<T, Error> {
        let choice = self.app.store(store_name);
        let question = Question { verb: request.verb(), form: Form::Typed };
        let mut call = self.shared.count(choice, question.verb, store_name);
        let span = call.span().clone();
        let done = async {
            let _turn = self.shared.admission.turn().await?;
            let chosen = app::chosen(choice, store_name);
            let answer = match self.shared.pool.begin(&self.app.scope, chosen, request)? {
                Begun::Answered(answer) => answer,
                begun => {
                    let choice = choice.ok_or_else(|| wrong("asks an unknown store"))?;
                    match operate(&mut call, &choice.store, begun).await? {
                        Ok(done) => return Ok(done),
                        Err(failure) => self.shared.answer(question, Outcome::Failed(&failure))?,
                    }
                }
            };
            Err(no_verdict(answer))
        }
        .instrument(span)
        .await;
        if let Err(error) = &done {
            call.set_result(ErrorKind::from(error));
        }
        done
    }
}

/// The error for a cursor that the store refuses. The rules do not know cursors.
fn not_a_cursor(store_name: &str) -> Error {
    let message = format!("cursor does not come from an earlier page in lock store {store_name}");
    types::Error::MalformedRequest(message).into()
}

/// The locks of a page of keys.
fn locks(key_start: &str, page: KeyPage) -> LockPage {
    let lock = |HeldKey { key, owner, time_left }| {
        let resource_id = resource_id(key_start, &key)?;
        Some(HeldLock { resource_id, owner, time_left })
    };
    LockPage { locks: page.keys.into_iter().filter_map(lock).collect(), next: page.next }
}

/// The resource id of a key; `None` for a key of another application.
fn resource_id(key_start: &str, key: &str) -> Option<String> {
    let id = key.strip_prefix(key_start)?;
    (!id.is_empty() && !id.contains("||")).then(|| id.to_owned())
}
