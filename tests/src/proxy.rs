//! A proxy between a client and a server that can hold back the server's replies, and be a bad network.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{AbortHandle, JoinSet},
};

/// Forwards connections to a port of 127.0.0.1 until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    port: Arc<AtomicU16>,
    network: watch::Sender<Network>,
    connections: Arc<Mutex<Vec<Connection>>>,
    accepting: AbortHandle,
}

/// The faults of the network, for all connections.
#[derive(Clone, Copy, Default)]
struct Network {
    delay_of_commands: Duration,
    delay_of_replies: Duration,
    swallows: bool,
    corrupts: bool,
}

/// Bytes that no reply of a Redis server contains.
const NO_REPLY: &[u8] = b"\0\xff\r\n";

struct Connection {
    held: watch::Sender<bool>,
    forwarding: AbortHandle,
}

impl Proxy {
    /// Starts forwarding.
    ///
    /// # Panics
    ///
    /// When no port is free.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (port, connections) = (Arc::new(AtomicU16::new(port)), Arc::default());
        let (network, state) = watch::channel(Network::default());
        let accepting = accept(listener, port.clone(), state, Arc::clone(&connections));
        let accepting = tokio::spawn(accepting).abort_handle();
        Self { address, port, network, connections, accepting }
    }

    /// The `host:port` to connect to.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Holds back the replies on the connections that are open now, but not on later ones.
    pub fn hold_replies(&self) {
        self.each(|connection| _ = connection.held.send_replace(true));
    }

    /// Forwards the replies that were held back, and those that follow.
    pub fn let_replies_through(&self) {
        self.each(|connection| _ = connection.held.send_replace(false));
    }

    /// Closes the connections that are open now. Replies that were held back are lost.
    pub fn cut(&self) {
        self.each(|connection| connection.forwarding.abort());
    }

    /// Leads later connections to this port.
    pub fn lead_to(&self, port: u16) {
        self.port.store(port, Ordering::SeqCst);
    }

    /// Delivers commands this much later, until [`mend`](Self::mend). Commands that a client sent before it closed its
    /// connection are delivered too.
    pub fn delay_commands(&self, delay: Duration) {
        self.network.send_modify(|network| network.delay_of_commands = delay);
    }

    /// Delivers replies this much later, until [`mend`](Self::mend).
    pub fn delay_replies(&self, delay: Duration) {
        self.network.send_modify(|network| network.delay_of_replies = delay);
    }

    /// Lets everything that is sent vanish, until [`mend`](Self::mend). A connection that lost something this
    /// way stays open, and silent for ever.
    pub fn swallow(&self) {
        self.network.send_modify(|network| network.swallows = true);
    }

    /// Puts bytes that are no reply before replies, until [`mend`](Self::mend).
    pub fn corrupt_replies(&self) {
        self.network.send_modify(|network| network.corrupts = true);
    }

    /// Ends the faults that [`delay_commands`](Self::delay_commands), [`delay_replies`](Self::delay_replies),
    /// [`swallow`](Self::swallow) and [`corrupt_replies`](Self::corrupt_replies) began.
    pub fn mend(&self) {
        self.network.send_replace(Network::default());
    }

    fn each(&self, action: impl FnMut(&Connection)) {
        let connections = self.connections.lock();
        connections.unwrap_or_else(PoisonError::into_inner).iter().for_each(action);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(
    listener: TcpListener,
    port: Arc<AtomicU16>,
    network: watch::Receiver<Network>,
    connections: Arc<Mutex<Vec<Connection>>>,
) {
    let mut forwarding = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (held, hold) = watch::channel(false);
        let wire = Wire { network: network.clone(), hold, silent: AtomicBool::new(false) };
        let port = port.load(Ordering::SeqCst);
        let forwarding = forwarding.spawn(async move { drop(wire.forward(client, port).await) });
        let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|connection| !connection.forwarding.is_finished());
        connections.push(Connection { held, forwarding });
    }
}

/// The state of one connection.
struct Wire {
    network: watch::Receiver<Network>,
    hold: watch::Receiver<bool>,
    /// Whether something was swallowed.
    silent: AtomicBool,
}

impl Wire {
    async fn forward(&self, client: TcpStream, port: u16) -> io::Result<()> {
        let server = TcpStream::connect(("127.0.0.1", port)).await?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::select! {
            done = self.commands(from_client, to_server) => done,
            done = self.replies(from_server, to_client) => done,
        }
    }

    async fn commands(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from.read(&mut buffer).await?;
            if read == 0 {
                return Ok(());
            }
            let network = self.now();
            if self.swallows(network) {
                continue;
            }
            wait(network.delay_of_commands).await;
            to.write_all(&buffer[..read]).await?;
        }
    }

    async fn replies(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        let mut hold = self.hold.clone();
        loop {
            let read = from.read(&mut buffer).await?;
            if read == 0 || hold.wait_for(|held| !held).await.is_err() {
                return Ok(());
            }
            let network = self.now();
            if self.swallows(network) {
                continue;
            }
            wait(network.delay_of_replies).await;
            if network.corrupts {
                to.write_all(NO_REPLY).await?;
            }
            to.write_all(&buffer[..read]).await?;
        }
    }

    fn now(&self) -> Network {
        *self.network.borrow()
    }

    fn swallows(&self, network: Network) -> bool {
        let lost = network.swallows && !self.silent.swap(true, Ordering::SeqCst);
        lost || self.silent.load(Ordering::SeqCst)
    }
}

/// Waits, and does not even yield if there is nothing to wait for.
async fn wait(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}
