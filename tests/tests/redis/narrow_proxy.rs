//! A proxy that does not know some commands, as proxies in front of Redis may not.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// Forwards connections to a port of 127.0.0.1 until it is dropped. A connection that sends a command which it does not
/// know gets the replies to its earlier commands, then text that is no reply, or nothing, and is closed.
pub struct NarrowProxy {
    address: String,
    unknown: Arc<Mutex<Vec<&'static str>>>,
    accepting: AbortHandle,
}

impl NarrowProxy {
    /// Closes connections on these commands.
    pub async fn start(port: u16, unknown: &[&'static str]) -> Self {
        Self::start_with(port, unknown, "").await
    }

    /// Sends `instead` of replies to these commands.
    pub async fn start_with(port: u16, unknown: &[&'static str], instead: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let unknown = Arc::new(Mutex::new(unknown.to_vec()));
        let words = unknown.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, port, words.clone(), instead));
            }
        });
        Self { address, unknown, accepting: accepting.abort_handle() }
    }

    /// The `host:port` to connect to.
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// Knows all commands but these from now on.
    pub fn forget_only(&self, unknown: &[&'static str]) {
        *self.unknown.lock().unwrap_or_else(PoisonError::into_inner) = unknown.to_vec();
    }
}

impl Drop for NarrowProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn forward(
    mut client: TcpStream,
    port: u16,
    unknown: Arc<Mutex<Vec<&'static str>>>,
    instead: &'static str,
) -> io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut commands, mut replies) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut commands) => {
                let sent = &commands[..read?];
                if sent.is_empty() {
                    return Ok(());
                }
                let unknown = unknown.lock().unwrap_or_else(PoisonError::into_inner).clone();
                match known(sent, &unknown) {
                    None => server.write_all(sent).await?,
                    Some(known) => {
                        server.write_all(&sent[..known]).await?;
                        server.shutdown().await?;
                        io::copy(&mut server, &mut client).await?;
                        return client.write_all(instead.as_bytes()).await;
                    }
                }
            }
            read = server.read(&mut replies) => match read? {
                0 => return Ok(()),
                read => client.write_all(&replies[..read]).await?,
            },
        }
    }
}

/// How many bytes stand before the first command that is not known, if there is one.
fn known(sent: &[u8], unknown: &[&str]) -> Option<usize> {
    let text: String = sent.iter().map(|&byte| char::from(byte.min(127))).collect();
    let word = unknown.iter().filter_map(|word| text.find(&format!("\r\n{word}\r\n"))).min()?;
    text[..word].rfind('*')
}
