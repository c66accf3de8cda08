//! Faults that make the server refuse commands or clients.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use holdfast_tests::free_port;

use crate::{
    check::violation::Loses,
    fault::{Evidence, Fault},
    servers::Layout,
    stage::{Admin, Road, Stage, Wall},
};

/// This family.
pub const FAULTS: &[Fault] = &[
    Fault { name: "misconf", evidence: Evidence::Cause("MISCONF"), round: misconf, ..REFUSED },
    Fault { name: "oom", evidence: Evidence::Cause("OOM"), round: oom, ..REFUSED },
    Fault { name: "readonly", round: readonly, ..REFUSED },
    Fault { name: "password", evidence: Evidence::Cause("NOAUTH"), round: password, ..REFUSED },
    Fault { name: "maxclients", round: maxclients, ..REFUSED },
];

const REFUSED: Fault = Fault {
    name: "",
    road: Road::Direct,
    wall: Wall::Nobody,
    servers: Layout::One(&[]),
    loses: Loses::Never,
    needs: 1,
    round_trip: 0,
    evidence: Evidence::Failed,
    round: |_| Ok(0),
};

/// How long the server may take to notice that it can save, or cannot.
const SAVING: Duration = Duration::from_secs(10);

/// The server cannot save its data, and takes no writes. A directory in place of the file makes saving fail for
/// every user, root included.
fn misconf(stage: &mut Stage) -> Result<u64> {
    let in_the_way = stage.server()?.dir().join("dump.rdb");
    let mut admin = stage.admin()?;
    let _ = fs::remove_file(&in_the_way);
    fs::create_dir_all(in_the_way.join("x"))?;
    admin.run::<()>(&["CONFIG", "SET", "save", "3600 1"])?;
    save(&mut admin, "err")?;
    stage.wait(200..=800);
    fs::remove_dir_all(&in_the_way)?;
    save(&mut admin, "ok")?;
    admin.run::<()>(&["CONFIG", "SET", "save", ""])?;
    Ok(1)
}

/// Saves until the outcome is `wanted`.
fn save(admin: &mut Admin, wanted: &str) -> Result<()> {
    let wanted = format!("rdb_last_bgsave_status:{wanted}");
    let deadline = Instant::now() + SAVING;
    while Instant::now() < deadline {
        // This fails while the server is saving already.
        let _ = admin.run::<()>(&["BGSAVE"]);
        thread::sleep(Duration::from_millis(50));
        if admin.run::<String>(&["INFO", "persistence"])?.contains(&wanted) {
            return Ok(());
        }
    }
    bail!("not within {SAVING:?}: {wanted}")
}

/// The server has no memory for more.
fn oom(stage: &mut Stage) -> Result<u64> {
    let mut admin = stage.admin()?;
    admin.run::<()>(&["CONFIG", "SET", "maxmemory", "1"])?;
    stage.wait(200..=1_500);
    admin.run::<()>(&["CONFIG", "SET", "maxmemory", "0"])?;
    Ok(1)
}

/// The server follows another one, which is dead.
fn readonly(stage: &mut Stage) -> Result<u64> {
    let mut admin = stage.admin()?;
    admin.run::<()>(&["REPLICAOF", "127.0.0.1", &free_port().to_string()])?;
    stage.wait(200..=1_500);
    admin.run::<()>(&["REPLICAOF", "NO", "ONE"])?;
    Ok(1)
}

/// The server asks for a password that the workers do not have.
fn password(stage: &mut Stage) -> Result<u64> {
    let mut admin = stage.admin()?;
    admin.run::<()>(&["CONFIG", "SET", "requirepass", "other"])?;
    admin.kill_clients()?;
    stage.wait(200..=1_500);
    admin.run::<()>(&["CONFIG", "SET", "requirepass", ""])?;
    Ok(1)
}

/// The server takes no more clients.
fn maxclients(stage: &mut Stage) -> Result<u64> {
    let mut admin = stage.admin()?;
    admin.run::<()>(&["CONFIG", "SET", "maxclients", "1"])?;
    admin.kill_clients()?;
    stage.wait(200..=1_500);
    admin.run::<()>(&["CONFIG", "SET", "maxclients", "1000"])?;
    Ok(1)
}
