//! One question at a time, whose answer all waiting callers share.

use std::sync::{Mutex, PoisonError};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};

/// An answer that may still be missing.
pub(super) type Answering<A> = Shared<BoxFuture<'static, A>>;

/// The question that is under way; empty if there is none.
pub(super) struct OneQuestion<A: Clone>(Mutex<Option<WeakShared<BoxFuture<'static, A>>>>);

impl<A: Clone> Default for OneQuestion<A> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<A: Clone> OneQuestion<A> {
    /// The answer to the question under way. If none is under way, begins this one. It goes on as long as a caller
    /// waits for the answer, even after the caller that began it has left.
    pub(super) fn ask(&self, question: impl FnOnce() -> BoxFuture<'static, A>) -> Answering<A> {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let joined = under_way.as_ref().and_then(WeakShared::upgrade);
        // An answer that has come already may be older than the reason to ask.
        if let Some(joined) = joined.filter(|answering| answering.peek().is_none()) {
            return joined;
        }
        let begun = question().shared();
        *under_way = begun.downgrade();
        begun
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        collections::VecDeque,
    };

    use tokio::sync::oneshot;

    use super::*;

    type Reply = Result<u32, &'static str>;

    /// Questions that a test answers by hand, in order.
    #[derive(Default)]
    struct Server {
        question: OneQuestion<Reply>,
        asked: Cell<usize>,
        unanswered: RefCell<VecDeque<oneshot::Sender<Reply>>>,
    }

    impl Server {
        fn ask(&self) -> Answering<Reply> {
            self.question.ask(|| {
                let (answer, answered) = oneshot::channel();
                self.asked.set(self.asked.get() + 1);
                self.unanswered.borrow_mut().push_back(answer);
                async move { answered.await.unwrap() }.boxed()
            })
        }

        fn answer(&self, reply: Reply) {
            self.unanswered.borrow_mut().pop_front().unwrap().send(reply).unwrap();
        }
    }

    #[test]
    fn all_who_wait_share_the_answer_whatever_it_is() {
        for reply in [Ok(7), Err("nobody answers")] {
            let server = Server::default();
            let mut waiting = [server.ask(), server.ask(), server.ask()];
            assert!(waiting.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
            server.answer(reply);
            assert_eq!(waiting.map(|waiting| waiting.now_or_never()), [Some(reply); 3]);
            assert_eq!(server.asked.get(), 1);
        }
    }

    #[test]
    fn the_question_goes_on_when_the_one_who_began_it_leaves() {
        let server = Server::default();
        let (mut first, second) = (server.ask(), server.ask());
        assert!((&mut first).now_or_never().is_none());
        drop(first);
        server.answer(Ok(1));
        assert_eq!(second.now_or_never(), Some(Ok(1)));
        assert_eq!(server.asked.get(), 1);
    }

    #[test]
    fn it_is_asked_anew_once_it_was_answered_or_nobody_waits() {
        let server = Server::default();
        let first = server.ask();
        server.answer(Ok(1));
        assert_eq!(first.clone().now_or_never(), Some(Ok(1)));
        let second = server.ask();
        assert_eq!(server.asked.get(), 2);
        drop(second);
        let third = server.ask();
        assert_eq!(server.asked.get(), 3);
        server.unanswered.borrow_mut().pop_front();
        server.answer(Ok(3));
        assert_eq!(third.now_or_never(), Some(Ok(3)));
    }
}
