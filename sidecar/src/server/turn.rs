//! Wake-ups of a task by itself.
//!
//! A connection and its requests wake each other within one task. Handed to the runtime, each of these wake-ups could
//! also wake another thread, to steal a task that is about to go on anyway.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;

/// Most polls in a row before the task lets others run.
const MAX_POLLS: usize = 8;

/// Nobody polls, and there is nothing to do.
const IDLE: u8 = 0;
/// The task is being polled.
const POLLING: u8 = 1;
/// There is something to do.
const WOKEN: u8 = 2;

/// Polls a future until nothing wakes it any more.
pub(super) struct Turn {
    shared: Arc<Shared>,
    waker: Waker,
}

struct Shared {
    state: AtomicU8,
    /// Wakes the task.
    task: AtomicWaker,
}

impl Turn {
    pub(super) fn new() -> Self {
        let shared = Arc::new(Shared { state: AtomicU8::new(IDLE), task: AtomicWaker::new() });
        Self { waker: Waker::from(shared.clone()), shared }
    }

    /// Polls until it is ready, or nothing has woken it meanwhile.
    pub(super) fn poll<T>(
        &self,
        cx: &Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.shared.task.register(cx.waker());
        let mut own = Context::from_waker(&self.waker);
        for _ in 0..MAX_POLLS {
            self.shared.state.store(POLLING, Ordering::SeqCst);
            if let Poll::Ready(ready) = poll(&mut own) {
                return Poll::Ready(ready);
            }
            let state = &self.shared.state;
            let idle = state.compare_exchange(POLLING, IDLE, Ordering::SeqCst, Ordering::SeqCst);
            if idle.is_ok() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::SeqCst) == IDLE {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A turn, and how often its task was woken.
    fn turn() -> (Turn, Waker, Arc<Count>) {
        let count = Arc::new(Count::default());
        (Turn::new(), Waker::from(count.clone()), count)
    }

    #[test]
    fn a_task_that_wakes_itself_goes_on() {
        let (turn, waker, count) = turn();
        let mut polls = 0;
        let polled = turn.poll(&Context::from_waker(&waker), |cx| {
            polls += 1;
            if polls == 3 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        assert_eq!((polled, polls, count.0.load(Ordering::SeqCst)), (Poll::Ready(()), 3, 0));
    }

    #[test]
    fn a_task_that_never_rests_lets_others_go_on() {
        let (turn, waker, count) = turn();
        let mut polls = 0;
        let polled: Poll<()> = turn.poll(&Context::from_waker(&waker), |cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        assert_eq!((polled, polls, count.0.load(Ordering::SeqCst)), (Poll::Pending, MAX_POLLS, 1));
    }

    #[test]
    fn a_task_that_rests_is_woken_once() {
        let (turn, waker, count) = turn();
        let mut inner = None;
        let _: Poll<()> = turn.poll(&Context::from_waker(&waker), |cx| {
            inner = Some(cx.waker().clone());
            Poll::Pending
        });
        let inner = inner.unwrap();
        inner.wake_by_ref();
        inner.wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }
}
