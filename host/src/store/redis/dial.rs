//! Opening a connection: TCP, TLS, login.

use std::{io, pin::Pin, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use holdfast_redis_rules::{login::Login, refusal, release::LOAD_RELEASE};
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError, aio::MultiplexedConnection};
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsConnector;

use super::{
    connection::{BUSY, Connection, command},
    failure::{self, Verdict},
    settings::RedisSettings,
    tls,
};

/// How many commands can wait for the task that writes them: all that a connection carries, so that
/// they go out in one write.
const WRITE_QUEUE: usize = BUSY;

/// How long a connection is idle before TCP probes the peer, and how long it waits between probes.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Opens connections.
pub(super) struct Dialer {
    settings: Arc<RedisSettings>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// Why no connection could be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DialError {
    pub(super) cause: String,
    /// Whether a later attempt may succeed. A wrong password stays wrong.
    pub(super) may_pass: bool,
}

impl Dialer {
    /// Fails with the cause if the settings of TLS cannot be used.
    pub(super) fn new(settings: Arc<RedisSettings>) -> Result<Self, String> {
        let tls = match settings.enabled_tls() {
            None => None,
            Some(tls) => {
                let name = ServerName::try_from(settings.common.address.host.clone())
                    .map_err(|_| "the host is not a name that a certificate can have".to_owned())?;
                let config = Arc::new(tls::client_config(tls)?);
                Some((TlsConnector::from(config), name))
            }
        };
        Ok(Self { settings, tls })
    }

    /// Opens a connection, logs it in, selects its database and checks that the server answers, all
    /// within `dialTimeout`. `when_closed` is called once the peer or the network has ended it.
    pub(super) async fn dial(
        &self,
        when_closed: impl FnOnce() + Send + 'static,
    ) -> Result<Connection, DialError> {
        let dialing = async {
            let (mux, driver) = self.connect().await?;
            let connection = Connection::spawn(mux, driver, when_closed);
            self.log_in(&connection).await?;
            Ok(connection)
        };
        match self.settings.common.dial_timeout {
            None => dialing.await,
            Some(limit) => tokio::time::timeout(limit, dialing).await.unwrap_or_else(|_| {
                Err(DialError { cause: format!("no connection within {limit:?}"), may_pass: true })
            }),
        }
    }

    async fn connect(&self) -> Result<(MultiplexedConnection, BoxFuture<'static, ()>), DialError> {
        let address = &self.settings.common.address;
        let tcp = TcpStream::connect((address.host.as_str(), address.port)).await?;
        tcp.set_nodelay(true)?;
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
        SockRef::from(&tcp).set_tcp_keepalive(&keepalive)?;
        let mut socket = TimeoutStream::new(tcp);
        socket.set_write_timeout(self.settings.common.write_timeout);
        let socket = Box::pin(socket);
        match &self.tls {
            None => share(socket).await,
            Some((connector, name)) => {
                let stream =
                    connector.connect(name.clone(), socket).await.map_err(|error| DialError {
                        cause: format!("TLS: {error}"),
                        may_pass: error.kind() != io::ErrorKind::InvalidData,
                    })?;
                share(Box::pin(stream)).await
            }
        }
    }

    /// The client library can log in too, but reports a server that is loading or full like a wrong
    /// password.
    async fn log_in(&self, connection: &Connection) -> Result<(), DialError> {
        for words in Login::new(&self.settings.common).commands() {
            connection.send(&command(&words)).await?;
        }
        // Only makes later releases shorter, so a user without the permission is not refused.
        match connection.send(&command(&LOAD_RELEASE)).await {
            Err(error) if failure::verdict(&error) == Verdict::Lost => Err(error.into()),
            _ => Ok(()),
        }
    }
}

async fn share<S>(
    stream: Pin<Box<S>>,
) -> Result<(MultiplexedConnection, BoxFuture<'static, ()>), DialError>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    // No response timeout: a late reply still says whether a lock was taken.
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_pipeline_buffer_size(WRITE_QUEUE);
    // No CLIENT SETINFO: a user without the permission would fill the ACL log.
    let info = RedisConnectionInfo::default().set_skip_set_lib_name();
    let (mux, driver) = MultiplexedConnection::new_with_config(&info, stream, config).await?;
    Ok((mux, driver.boxed()))
}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        let cause = match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
            _ => error.to_string(),
        };
        Self { cause, may_pass: true }
    }
}

impl From<RedisError> for DialError {
    fn from(error: RedisError) -> Self {
        let cause = failure::describe(&error);
        let may_pass = match failure::verdict(&error) {
            Verdict::Refused(_) => refusal::may_pass(&cause),
            Verdict::Lost => true,
        };
        Self { cause, may_pass }
    }
}
