//! The addresses that `serve` answers on, one for each of its ports.

use anyhow::{Result, bail};

use super::{
    super::{
        argument_error::ArgumentError,
        arguments::{Serve, parse::Given},
    },
    bound_addresses::{BoundAddresses, Names},
    listen::{self, Bound, Listening},
    token::{ADMIN_TOKEN, token},
};

/// The addresses of the server: bound at first, then listening.
pub struct Ports<T> {
    pub http: T,
    pub grpc: T,
    pub public: Option<T>,
    pub metrics: Option<T>,
    pub admin: Option<T>,
}

impl Ports<Bound> {
    /// Binds the addresses of all ports that the arguments ask for.
    pub async fn bind(args: &Serve, given: &Given) -> Result<Self> {
        let taken = &mut BoundAddresses::default();
        let (http, grpc) = bind_apis(args, given, taken).await?;
        Ok(Self {
            http,
            grpc,
            public: bind_public(args, given, taken).await?,
            metrics: bind_metrics(args, given, taken).await?,
            admin: bind_admin(args, given, taken).await?,
        })
    }

    /// Takes connections from now on.
    pub fn listen(self) -> Result<Ports<Listening>> {
        Ok(Ports {
            http: self.http.listen()?,
            grpc: self.grpc.listen()?,
            public: self.public.map(Bound::listen).transpose()?,
            metrics: self.metrics.map(Bound::listen).transpose()?,
            admin: self.admin.map(Bound::listen).transpose()?,
        })
    }
}

/// The names of the options that gave the addresses of a port, and the port.
fn names<'a>(given: &'a Given, addresses: &'a str, port: &'a str) -> Names<'a> {
    Names { addresses: given.name(addresses), port: given.name(port) }
}

async fn bind_apis<'a>(
    args: &'a Serve,
    given: &'a Given,
    taken: &mut BoundAddresses<'a>,
) -> Result<(Bound, Bound)> {
    if let Some(folder) = &args.unix_domain_socket {
        let socket = |api| listen::socket(folder, &args.stores.app_id, api);
        return Ok((Bound::unix(socket("http")).await?, Bound::unix(socket("grpc")).await?));
    }
    let addresses = &args.dapr_listen_addresses;
    let names = |port| names(given, "dapr_listen_addresses", port);
    let http = Bound::tcp(addresses, args.dapr_http_port, names("dapr_http_port"), taken).await?;
    let grpc = Bound::tcp(addresses, args.dapr_grpc_port, names("dapr_grpc_port"), taken).await?;
    Ok((http, grpc))
}

async fn bind_public<'a>(
    args: &'a Serve,
    given: &'a Given,
    taken: &mut BoundAddresses<'a>,
) -> Result<Option<Bound>> {
    let Some(port) = args.dapr_public_port else { return Ok(None) };
    let names = names(given, "dapr_public_listen_address", "dapr_public_port");
    Bound::tcp(&args.dapr_public_listen_address, port, names, taken).await.map(Some)
}

async fn bind_metrics<'a>(
    args: &'a Serve,
    given: &'a Given,
    taken: &mut BoundAddresses<'a>,
) -> Result<Option<Bound>> {
    if !args.enable_metrics {
        return Ok(None);
    }
    let names = names(given, "metrics_listen_address", "metrics_port");
    Bound::tcp(&args.metrics_listen_address, args.metrics_port, names, taken).await.map(Some)
}

async fn bind_admin<'a>(
    args: &'a Serve,
    given: &'a Given,
    taken: &mut BoundAddresses<'a>,
) -> Result<Option<Bound>> {
    if !args.enable_admin && args.ui {
        bail!(ArgumentError("--ui needs --enable-admin".to_owned()));
    }
    if !args.enable_admin {
        return Ok(None);
    }
    let names = names(given, "admin_listen_address", "admin_port");
    let admin = Bound::tcp(&args.admin_listen_address, args.admin_port, names, taken).await?;
    if token(ADMIN_TOKEN)?.is_none() && !admin.is_loopback()? {
        bail!(ArgumentError(format!(
            "--admin-listen-address: an address other than loopback needs a token in {ADMIN_TOKEN}"
        )));
    }
    Ok(Some(admin))
}

impl Ports<Listening> {
    /// Logs the addresses, those of the HTTP API last: once one of its lines appears, every port is open.
    pub fn announce(&self, page: bool) {
        for address in self.public.iter().flat_map(|public| &public.addresses) {
            tracing::info!("serving health checks and metadata without a token on http{address}");
        }
        for address in self.metrics.iter().flat_map(|metrics| &metrics.addresses) {
            tracing::info!("metrics on http{address}/metrics");
        }
        for address in self.admin.iter().flat_map(|admin| &admin.addresses) {
            tracing::info!("serving the operator API on http{address}");
            if page {
                tracing::info!("operator page on http{address}/ui");
            }
        }
        for address in &self.grpc.addresses {
            tracing::info!("listening on grpc{address}");
        }
        for address in &self.http.addresses {
            tracing::info!("listening on http{address}");
        }
    }
}
