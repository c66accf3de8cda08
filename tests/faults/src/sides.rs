//! The roads to several servers: each worker reaches each server through a proxy in the driver. Every third worker has
//! other proxies than the rest, so that the two sides may reach different servers.

use std::time::Duration;

use holdfast_tests::proxy::Proxy;

/// The proxies of both sides, by their servers.
pub struct Sides([Vec<Proxy>; 2]);

/// The effect of a cut road on the bytes that are sent. A network that is mended may deliver them late.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    /// All bytes vanish.
    All,
    /// Commands arrive this much later.
    Commands(Duration),
    /// Replies arrive this much later.
    Replies(Duration),
}

impl Sides {
    /// Proxies to the servers on these ports.
    pub async fn to(ports: &[u16]) -> Self {
        let mut sides = [Vec::new(), Vec::new()];
        for side in &mut sides {
            for port in ports {
                side.push(Proxy::to(*port).await);
            }
        }
        Self(sides)
    }

    /// The setting `redisHost` of one side.
    pub fn hosts(&self, side: usize) -> String {
        self.0[side].iter().map(Proxy::address).collect::<Vec<_>>().join(",")
    }

    /// Cuts each side off from some servers.
    pub fn cut(&self, servers: [&[usize]; 2], loss: Loss) {
        for (side, servers) in self.0.iter().zip(servers) {
            for proxy in servers.iter().map(|server| &side[*server]) {
                match loss {
                    Loss::All => proxy.swallow(),
                    Loss::Commands(delay) => proxy.delay_commands(delay),
                    Loss::Replies(delay) => proxy.delay_replies(delay),
                }
            }
        }
    }

    /// Mends all roads.
    pub fn mend(&self) {
        self.0.iter().flatten().for_each(Proxy::mend);
    }
}
