//! The next owner of a lock: the waiters of one process get it in the order of their arrival, and some waiter always
//! gets it when it is free, whatever the timing of releases and waits.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use holdfast::{LeaseOptions, Locks, Resource, UnlockStatus};
use holdfast_tests::{MINUTE, redis_server::RedisServer, redis_store::connect};

async fn locks(server: &RedisServer) -> Locks {
    let store = connect(server, &[]).await.unwrap();
    Locks::builder().store("s", Arc::new(store)).build().unwrap()
}

#[tokio::test]
async fn waiters_in_one_process_are_served_in_the_order_of_their_arrival() {
    const WAITERS: usize = 1_000;
    let server = RedisServer::start();
    let locks = locks(&server).await;
    let resource = Resource { store: "s", id: "r" };
    let first = locks.acquire(resource, &LeaseOptions::new(MINUTE)).await.unwrap().unwrap();
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for number in 0..WAITERS {
        let (waiter, served) = (locks.clone(), served.clone());
        waiting.push(tokio::spawn(async move {
            let options = LeaseOptions::new(MINUTE).wait(MINUTE);
            let lease =
                waiter.acquire(resource, &options).await.unwrap().expect("it is free in time");
            served.lock().unwrap().push(number);
            waiter.unlock(resource, &lease.owner).await.unwrap();
        }));
        tokio::task::yield_now().await;
        assert_eq!(locks.waiting("s", "r"), Ok(vec![("r".to_owned(), number + 1)]));
    }
    locks.unlock(resource, &first.owner).await.unwrap();
    for waiting in waiting {
        waiting.await.unwrap();
    }
    assert!(served.lock().unwrap().iter().copied().eq(0..WAITERS));
}

/// A hand-over without a notification would last as long as a lease, which is longer than any caller waits here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_holds_of_random_length_wake_the_waiters() {
    const HOLDS: usize = 10_000;
    const RESOURCES: usize = 8;
    const WAITERS: usize = 3;
    const LONGEST_PAUSE: u64 = 1_500;
    let server = RedisServer::start();
    let processes = [locks(&server).await, locks(&server).await];
    let holds: Arc<[AtomicUsize; RESOURCES]> = Arc::default();
    let callers = (0..RESOURCES).flat_map(|number| (0..WAITERS).map(move |_| number));
    let callers = callers.flat_map(|number| processes.iter().map(move |locks| (number, locks)));
    let callers = callers.map(|(number, locks)| {
        let (locks, holds) = (locks.clone(), holds.clone());
        tokio::spawn(async move {
            let id = format!("r{number}");
            let resource = Resource { store: "s", id: &id };
            let options = LeaseOptions::new(10 * MINUTE).wait(MINUTE);
            while holds[number].fetch_add(1, Ordering::Relaxed) < HOLDS / RESOURCES {
                let lease = locks.acquire(resource, &options).await.unwrap();
                let lease = lease.expect("somebody is notified that the lock is free");
                pause().await;
                let released = locks.unlock(resource, &lease.owner).await.unwrap();
                assert_eq!(released, UnlockStatus::Success);
                pause().await;
            }
        })
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }

    /// Returns at once or after a random pause.
    async fn pause() {
        let micros = fastrand::u64(..LONGEST_PAUSE);
        if micros % 2 == 0 {
            tokio::time::sleep(Duration::from_micros(micros)).await;
        }
    }
}
