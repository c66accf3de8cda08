//! Takes a lock and frees it again.

use std::hash::{BuildHasher, RandomState};

use holdfast::lock::lock::{Error, try_lock, unlock};

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package holdfast:hello;
        world hello {
            import holdfast:lock/lock@0.1.0;
        }
    ",
    generate_all,
});

fn main() -> Result<(), Error> {
    let (store, resource) = ("lockstore", "greeting");
    // New for each hold, so that a late unlock cannot end a later hold.
    let owner = format!("hello-{:x}", RandomState::new().hash_one(resource));
    if try_lock(store, resource, &owner, 60)? {
        println!("hello, the lock is mine");
        println!("unlock: {:?}", unlock(store, resource, &owner)?);
    } else {
        println!("another owner holds the lock");
    }
    Ok(())
}
