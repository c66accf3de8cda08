//! A sentinel, or a node of a Redis Cluster, that keeps no locks and whose answers a test scripts.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
    sync::{mpsc, watch},
    task::{AbortHandle, JoinSet},
};

/// A node's report about a master on a port of 127.0.0.1 that has all slots.
#[derive(Clone, Debug)]
pub struct View {
    /// The port of the master.
    pub master: u16,
    /// The number of the configuration.
    pub epoch: u64,
    /// The ports of the other sentinels.
    pub others: Vec<u16>,
}

impl View {
    /// A view without other sentinels.
    pub fn new(master: u16, epoch: u64) -> Self {
        Self { master, epoch, others: Vec::new() }
    }
}

/// A node that answers until it is dropped.
pub struct ScriptedNode {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: AbortHandle,
}

struct State {
    view: View,
    /// The view that replaces `view` after the next answer.
    next: Option<View>,
    refuses_subscriptions: bool,
    subscribers: Vec<mpsc::UnboundedSender<String>>,
    /// How often it was asked for the master or the slots.
    asked: usize,
    /// Answers wait until the sender of this gate is dropped.
    gate: Option<watch::Receiver<()>>,
}

/// Answers that are ready and are not sent before this is dropped.
pub struct HeldAnswers {
    _gate: watch::Sender<()>,
}

impl ScriptedNode {
    /// Starts a node that reports this view.
    ///
    /// # Panics
    ///
    /// When no port is free.
    pub async fn start(view: View) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(Mutex::new(State {
            view,
            next: None,
            refuses_subscriptions: false,
            subscribers: Vec::new(),
            asked: 0,
            gate: None,
        }));
        let accepting = tokio::spawn(accept(listener, state.clone())).abort_handle();
        Self { address, state, accepting }
    }

    /// The `host:port` to connect to.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The port of 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Reports this view from now on.
    pub fn say(&self, view: View) {
        let mut state = self.state();
        (state.view, state.next) = (view, None);
    }

    /// Reports this view from now on, except in its next answer: it takes over the view while it is asked.
    pub fn say_after_the_next_answer(&self, view: View) {
        self.state().next = Some(view);
    }

    /// Refuses subscriptions to changes of the master from now on.
    pub fn refuse_subscriptions(&self) {
        self.state().refuses_subscriptions = true;
    }

    /// The number of subscribers to changes of the master.
    pub fn subscribers(&self) -> usize {
        let mut state = self.state();
        state.subscribers.retain(|subscriber| !subscriber.is_closed());
        state.subscribers.len()
    }

    /// Tells subscribers that the master named `name` has moved.
    pub fn report_a_switch(&self, name: &str) {
        let words = format!("{name} 127.0.0.1 1 127.0.0.1 {}", self.state().view.master);
        let message = array(&[&text("message"), &text("+switch-master"), &text(&words)]);
        for subscriber in &self.state().subscribers {
            // It has left if this fails.
            let _ = subscriber.send(message.clone());
        }
    }

    /// How often it was asked for the master, or for the slots.
    pub fn asked(&self) -> usize {
        self.state().asked
    }

    /// Holds back each answer about the master or the slots from now on, until
    /// [`answer_at_once`](Self::answer_at_once). The content of an answer is that of the moment of the question.
    pub fn hold_answers(&self) -> HeldAnswers {
        let (gate, opened) = watch::channel(());
        self.state().gate = Some(opened);
        HeldAnswers { _gate: gate }
    }

    /// Holds back no more answers. Answers that are held already stay so.
    pub fn answer_at_once(&self) {
        self.state().gate = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for ScriptedNode {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let state = state.clone();
        connections.spawn(async move { drop(serve(client, &state).await) });
    }
}

async fn serve(client: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let (from, mut to) = client.into_split();
    let (replies, mut to_send) = mpsc::unbounded_channel();
    let answering = async {
        let mut from = BufReader::new(from);
        while let Some(words) = command(&mut from).await? {
            let (reply, gate) = lock(state).answer(&words, &replies);
            if let Some(mut gate) = gate {
                // Fails when the sender is dropped, which opens the gate.
                let _ = gate.changed().await;
            }
            // The other half ends with this one.
            let _ = replies.send(reply);
        }
        Ok(())
    };
    let sending = async {
        while let Some(reply) = to_send.recv().await {
            to.write_all(reply.as_bytes()).await?;
        }
        Ok(())
    };
    tokio::select! {
        ended = answering => ended,
        ended = sending => ended,
    }
}

/// The next command; `None` at the end of the connection.
async fn command(from: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Vec<String>>> {
    let Some(count) = number(from).await? else { return Ok(None) };
    let mut words = Vec::new();
    for _ in 0..count {
        let Some(length) = number(from).await? else { return Ok(None) };
        let mut word = vec![0; length + 2];
        from.read_exact(&mut word).await?;
        word.truncate(length);
        words.push(String::from_utf8_lossy(&word).into_owned());
    }
    Ok(Some(words))
}

/// The number of a line such as `*3` or `$5`; `None` for anything else.
async fn number(from: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<usize>> {
    let mut line = String::new();
    from.read_line(&mut line).await?;
    Ok(line.trim_end().get(1..).and_then(|number| number.parse().ok()))
}

impl State {
    /// The answer to a command, and the gate that it waits for. `replies` goes to the client.
    fn answer(
        &mut self,
        words: &[String],
        replies: &mpsc::UnboundedSender<String>,
    ) -> (String, Option<watch::Receiver<()>>) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = match words[..] {
            ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", ..] => {
                self.asked += 1;
                array(&[&text("127.0.0.1"), &text(&self.view.master.to_string())])
            }
            ["SENTINEL", "MASTER", ..] => {
                array(&[&text("config-epoch"), &text(&self.view.epoch.to_string())])
            }
            ["SENTINEL", "SENTINELS", ..] => self.others(),
            ["CLUSTER", "SLOTS"] => {
                self.asked += 1;
                let node = array(&[&text("127.0.0.1"), &integer(self.view.master), &text("id")]);
                array(&[&array(&[&integer(0), &integer(16_383), &node])])
            }
            ["CLUSTER", "INFO"] => {
                let epoch = self.view.epoch;
                text(&format!("cluster_state:ok\r\ncluster_current_epoch:{epoch}\r\n"))
            }
            ["SUBSCRIBE", _] if self.refuses_subscriptions => {
                return ("-NOPERM no\r\n".to_owned(), None);
            }
            ["SUBSCRIBE", channel] => {
                // Before any message for subscribers.
                let _ = replies.send(array(&[&text("subscribe"), &text(channel), &integer(1)]));
                self.subscribers.push(replies.clone());
                return (String::new(), None);
            }
            ["PING"] => return ("+PONG\r\n".to_owned(), None),
            _ => return ("-ERR unknown command\r\n".to_owned(), None),
        };
        if let Some(next) = self.next.take() {
            self.view = next;
        }
        let is_held =
            matches!(words[..], ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", ..] | ["CLUSTER", "SLOTS"]);
        (said, self.gate.clone().filter(|_| is_held))
    }

    /// The other sentinels, as a sentinel lists them.
    fn others(&self) -> String {
        let listed = self.view.others.iter().map(|port| {
            array(&[&text("ip"), &text("127.0.0.1"), &text("port"), &text(&port.to_string())])
        });
        let listed: Vec<String> = listed.collect();
        array(&listed.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

fn text(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn integer(number: u16) -> String {
    format!(":{number}\r\n")
}

fn array(parts: &[&str]) -> String {
    format!("*{}\r\n{}", parts.len(), parts.concat())
}
