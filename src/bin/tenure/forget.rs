//! Deletes a namespace that a command made for itself.

use std::time::Duration;

use redis::{AsyncCommands, aio::MultiplexedConnection};
use tenure::model::Door;

use crate::{
    connect::{self, unavailable},
    failure::Failure,
    global::Global,
};

/// Keys deleted at once.
const PAGE: usize = 500;

/// Deletes all keys of the namespace, which must be the caller's own, and `others`.
pub(crate) async fn namespace(global: &Global, others: &[String]) -> Result<(), Failure> {
    let mut conn = connect::connection(global, Duration::ZERO).await?;
    let namespace = &global.namespace;
    unlink(&mut conn, others).await?;
    let doors: Vec<_> = Door::all().map(|door| format!("tenure:{namespace}:{door}")).collect();
    unlink(&mut conn, &doors).await?;
    for pattern in [format!("tenure:{{{namespace}}}:*"), format!("tenure:{{{namespace}.*")] {
        unlink_all(&mut conn, &pattern).await?;
    }
    Ok(())
}

async fn unlink_all(conn: &mut MultiplexedConnection, pattern: &str) -> Result<(), Failure> {
    let mut cursor = 0_u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(PAGE);
        let page: (u64, Vec<String>) = scan.query_async(conn).await.map_err(unavailable)?;
        cursor = page.0;
        unlink(conn, &page.1).await?;
        if cursor == 0 {
            return Ok(());
        }
    }
}

async fn unlink(conn: &mut MultiplexedConnection, keys: &[String]) -> Result<(), Failure> {
    if keys.is_empty() { Ok(()) } else { conn.unlink(keys).await.map_err(unavailable) }
}
