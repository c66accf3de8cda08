//! The nodes, and questions to all of them at once.
//!
//! Each call of a node is a task of its own, on the runtime in which the quorum was made. So no caller waits for slow
//! nodes, and calls go on after their callers have left.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use holdfast_timing::late::LATE_REPLY;
use tokio::{
    runtime::Handle,
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    disagreement::{disagreement, late},
    error::QuorumError,
    lanes::Lanes,
    metrics::NodeMetrics,
    settings::{Node, QuorumSettings},
};
use crate::store::{Failure, Store, identities::Identities};

/// How long [`Nodes::close`] waits at most.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A node, and the calls that are under way at it.
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) store: Arc<dyn Store>,
    pub(super) lanes: Lanes,
    pub(super) metrics: NodeMetrics,
    tasks: TaskTracker,
    /// Cancelled when the quorum is closed.
    pub(super) closed: CancellationToken,
}

impl Peer {
    /// Makes the node note a fencing token.
    pub(super) async fn raise(&self, key: &str, token: u64) -> Result<(), Failure> {
        let raised = self.store.raise_fencing_token(key, token).await;
        self.metrics.raised(&raised);
        raised
    }

    /// Waits for the calls that are under way and closes the store, until `given_up`.
    async fn close(&self, given_up: &CancellationToken) {
        self.tasks.close();
        given_up.run_until_cancelled(self.tasks.wait()).await;
        tokio::select! {
            biased;
            // The close comes first, so that it begins even if nobody waits for it.
            () = self.store.close() => {}
            () = given_up.cancelled() => {}
        }
    }
}

/// All nodes of a quorum.
pub(super) struct Nodes {
    peers: Vec<Arc<Peer>>,
    pub(super) settings: QuorumSettings,
    runtime: Handle,
    /// Cancelled to end the tasks.
    abort: CancellationToken,
    closed: CancellationToken,
}

/// The answers of the nodes to a question that have come so far.
pub(super) struct NodeAnswers<T> {
    /// The answers by the positions of the nodes.
    by_node: Vec<Option<Result<T, Failure>>>,
    answers: mpsc::UnboundedReceiver<(usize, Result<T, Failure>)>,
    until: Instant,
    patience: Duration,
}

/// Sends the answer of one node to the caller.
pub(super) struct AnswerSender<T> {
    node: usize,
    answers: mpsc::UnboundedSender<(usize, Result<T, Failure>)>,
}

impl Nodes {
    pub(super) fn new(
        store: &str,
        nodes: Vec<Node>,
        settings: QuorumSettings,
    ) -> Result<Self, QuorumError> {
        settings.check(&nodes)?;
        let runtime = Handle::try_current().map_err(|_| QuorumError::NoRuntime)?;
        let servers = Identities::new(settings.longest_ttl);
        nodes.iter().for_each(|node| node.store.join_quorum(&node.name, &servers));
        let closed = CancellationToken::new();
        let peer = |Node { name, store: node }| {
            let metrics = NodeMetrics::new(store, &name);
            let (lanes, tasks) = (Lanes::default(), TaskTracker::new());
            Arc::new(Peer { name, store: node, lanes, metrics, tasks, closed: closed.clone() })
        };
        Ok(Self {
            peers: nodes.into_iter().map(peer).collect(),
            settings,
            runtime,
            abort: CancellationToken::new(),
            closed,
        })
    }

    /// The number of nodes.
    pub(super) fn count(&self) -> usize {
        self.peers.len()
    }

    /// The names of the nodes, by their positions.
    pub(super) fn names(&self) -> Vec<&str> {
        self.peers.iter().map(|peer| &*peer.name).collect()
    }

    /// The number of nodes in a majority.
    pub(super) fn majority(&self) -> usize {
        self.count() / 2 + 1
    }

    pub(super) fn peers(&self) -> &[Arc<Peer>] {
        &self.peers
    }

    /// Runs a task about a node until it ends or the quorum is closed. Polls the task at once, so that tasks of one
    /// lane take their turns in the order of the calls, whatever order the runtime would choose.
    pub(super) fn spawn(&self, peer: &Peer, task: impl Future<Output = ()> + Send + 'static) {
        let abort = self.abort.clone();
        let mut task =
            Box::pin(async move { abort.run_until_cancelled(task).await.unwrap_or_default() });
        let _runtime = self.runtime.enter();
        if task.as_mut().now_or_never().is_none() {
            peer.tasks.spawn_on(task, &self.runtime);
        }
    }

    /// Asks all nodes at once, and waits for their answers for at most `patience`. A late call goes on in the
    /// background, for 30 seconds at most.
    pub(super) fn ask<T, F>(
        &self,
        patience: Duration,
        question: impl Fn(Arc<Peer>) -> F,
    ) -> NodeAnswers<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        self.ask_by(patience, |peer, sender| {
            let asking = question(peer);
            async move {
                if let Ok(answer) = timeout(LATE_REPLY, asking).await {
                    sender.send(answer);
                }
            }
        })
    }

    /// The same as [`ask`](Self::ask), by tasks that report their answers, may go on after that, and end by themselves.
    pub(super) fn ask_by<T, F>(
        &self,
        patience: Duration,
        question: impl Fn(Arc<Peer>, AnswerSender<T>) -> F,
    ) -> NodeAnswers<T>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (all, answers) = mpsc::unbounded_channel();
        for (node, peer) in self.peers.iter().enumerate() {
            let sender = AnswerSender { node, answers: all.clone() };
            self.spawn(peer, question(peer.clone(), sender));
        }
        let by_node = self.peers.iter().map(|_| None).collect();
        NodeAnswers { by_node, answers, until: after(patience), patience }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Refuses further calls, waits for those under way, and closes all nodes. Waits at most five seconds, and after a
    /// majority is closed no longer than a call waits for a node.
    pub(super) async fn close(&self) {
        self.closed.cancel();
        let closing = self.peers.iter().map(|peer| peer.close(&self.abort));
        let mut closing: FuturesUnordered<_> = closing.collect();
        let mut until = after(CLOSE_TIMEOUT);
        while let Ok(Some(())) = timeout_at(until, closing.next()).await {
            if self.count() - closing.len() == self.majority() {
                until = until.min(after(self.settings.node_timeout));
            }
        }
        self.abort.cancel();
        closing.collect::<()>().await;
    }
}

impl<T> NodeAnswers<T> {
    /// Waits until `enough` answers, or all, have come, or the time is over. Nothing is lost if the future is dropped.
    pub(super) async fn wait_for(&mut self, enough: impl Fn(&Self) -> bool) {
        while self.missing() > 0 && !enough(self) {
            match timeout_at(self.until, self.answers.recv()).await {
                Ok(Some((node, answer))) => self.put(node, answer),
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn put(&mut self, node: usize, answer: Result<T, Failure>) {
        if let Some(place) = self.by_node.get_mut(node) {
            *place = Some(answer);
        }
    }

    /// The answers that are not failures.
    pub(super) fn successes(&self) -> impl Iterator<Item = &T> {
        self.by_node.iter().flatten().flatten()
    }

    /// The answers by the positions of their nodes; `None` for a failure, and for a missing answer.
    pub(super) fn by_node(self) -> impl Iterator<Item = Option<T>> {
        self.by_node.into_iter().map(|answer| answer?.ok())
    }

    /// How many answers satisfy `is_such`. Failures do not count.
    pub(super) fn count(&self, is_such: impl Fn(&T) -> bool) -> usize {
        self.successes().filter(|answer| is_such(answer)).count()
    }

    /// How many answers are missing.
    pub(super) fn missing(&self) -> usize {
        self.by_node.iter().filter(|answer| answer.is_none()).count()
    }

    /// How many nodes have failed, or have not answered yet.
    pub(super) fn failed_or_missing(&self) -> usize {
        self.by_node.len() - self.successes().count()
    }

    /// The failure of the call if no majority agrees: why nodes failed, and how many other nodes `said` what. It is
    /// [`Failure::NotDone`] if no node can have done anything; `changed` is whether one of the other nodes has.
    pub(super) fn failure(&self, nodes: &Nodes, said: &[(usize, &str)], changed: bool) -> Failure {
        let failures = self.by_node.iter().enumerate().filter_map(|(node, answer)| match answer {
            Some(Ok(_)) => None,
            Some(Err(failure)) => Some((node, failure.cause().to_owned())),
            None => Some((node, late(self.patience))),
        });
        let cause = disagreement(&nodes.names(), said, failures);
        let did_nothing = |answer: &Option<Result<T, Failure>>| {
            matches!(answer, Some(Ok(_) | Err(Failure::NotDone(_))))
        };
        match !changed && self.by_node.iter().all(did_nothing) {
            true => Failure::NotDone(cause),
            false => Failure::unknown(cause, None),
        }
    }
}

impl<T> AnswerSender<T> {
    pub(super) fn send(self, answer: Result<T, Failure>) {
        // A caller that has left needs no answer.
        let _ = self.answers.send((self.node, answer));
    }
}

/// The time that is this long from now.
pub(super) fn after(time: Duration) -> Instant {
    holdfast_timing::after(Instant::now(), time, Instant::checked_add)
}
