//! Makes one call of each kind and prints one line for each.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use dapr::{
    client::{ApiTokenInterceptor, ClientOptions},
    dapr::proto::runtime::v1::{TryLockRequest, UnlockRequest, dapr_client::DaprClient},
};
use tonic::{
    Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};

const STORE: &str = "lockstore";

/// The generated client. The SDK's own client has no lock calls.
type Client = DaprClient<InterceptedService<Channel, ApiTokenInterceptor>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = ClientOptions::from_env()?;
    let token = ApiTokenInterceptor::try_new(options.api_token().map(str::to_owned))?;
    let channel = Endpoint::from_shared(options.address().to_owned())?.connect().await?;
    let client = &mut DaprClient::with_interceptor(channel, token);

    println!("take: {}", take(client, STORE, "order", "ann", 60).await);
    println!("take, other owner: {}", take(client, STORE, "order", "bob", 60).await);
    println!("unlock, wrong owner: {}", unlock(client, STORE, "order", "bob").await);
    println!("unlock: {}", unlock(client, STORE, "order", "ann").await);
    println!("unlock again: {}", unlock(client, STORE, "order", "ann").await);

    println!("take for a second: {}", take(client, STORE, "order", "ann", 1).await);
    println!("take once expired: {}", take_in_time(client, "order", "bob").await);
    println!("unlock: {}", unlock(client, STORE, "order", "bob").await);

    println!("take, no resource: {}", take(client, STORE, "", "ann", 60).await);
    println!("take, no owner: {}", take(client, STORE, "order", "", 60).await);
    println!("take, expiry 0: {}", take(client, STORE, "order", "ann", 0).await);
    println!("take, no such store: {}", take(client, "nowhere", "order", "ann", 60).await);
    println!("take, bad resource: {}", take(client, STORE, "a||b", "ann", 60).await);
    println!("unlock, no resource: {}", unlock(client, STORE, "", "ann").await);
    println!("unlock, no owner: {}", unlock(client, STORE, "order", "").await);
    println!("unlock, no such store: {}", unlock(client, "nowhere", "order", "ann").await);
    println!("unlock, bad resource: {}", unlock(client, STORE, "a||b", "ann").await);
    Ok(())
}

async fn take(
    client: &mut Client,
    store: &str,
    resource: &str,
    owner: &str,
    seconds: i32,
) -> String {
    let request = TryLockRequest {
        store_name: store.to_owned(),
        resource_id: resource.to_owned(),
        lock_owner: owner.to_owned(),
        expiry_in_seconds: seconds,
    };
    match client.try_lock_alpha1(request).await {
        Ok(response) => response.into_inner().success.to_string(),
        Err(status) => message(&status),
    }
}

async fn take_in_time(client: &mut Client, resource: &str, owner: &str) -> String {
    let started = Instant::now();
    loop {
        let taken = take(client, STORE, resource, owner, 60).await;
        if taken != "false" || started.elapsed() > Duration::from_secs(60) {
            return taken;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn unlock(client: &mut Client, store: &str, resource: &str, owner: &str) -> String {
    let request = UnlockRequest {
        store_name: store.to_owned(),
        resource_id: resource.to_owned(),
        lock_owner: owner.to_owned(),
    };
    match client.unlock_alpha1(request).await {
        Ok(response) => response.into_inner().status().as_str_name().to_owned(),
        Err(status) => message(&status),
    }
}

fn message(status: &Status) -> String {
    format!("{:?}, {}", status.code(), status.message())
}
