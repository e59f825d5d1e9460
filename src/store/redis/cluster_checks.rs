//! What is found at several masters, told as of one.

use std::sync::Arc;

use super::{
    Options,
    cluster::Cluster,
    doctor::{Check, CheckStatus},
    seeds::Seeds,
    target::Target,
};
use crate::store::StoreResult;

/// What leads to the server, or to each master of a cluster as it is now; and what there is to say of that.
pub(super) async fn masters_of(options: &Options) -> StoreResult<(Vec<Arc<Target>>, Option<Check>)> {
    let Some(seeds) = Seeds::of(&options.url) else {
        return Ok((vec![Arc::new(options.target()?)], None));
    };
    let cluster = Cluster::connect(seeds, options.clone()).await?;
    let targets = cluster.masters().into_iter().map(|master| master.target.clone());
    Ok((targets.collect(), Some(whole(&cluster))))
}

/// Who the masters are, and whether they have all slots.
fn whole(cluster: &Cluster) -> Check {
    let masters = cluster.masters();
    let addresses: Vec<_> = masters.iter().map(|master| master.target.address()).collect();
    let unserved = cluster.unserved();
    let masters = if addresses.len() == 1 { "master" } else { "masters" };
    let found = format!("{} {masters}: {}", addresses.len(), addresses.join(", "));
    Check {
        check: "cluster",
        status: if unserved > 0 { CheckStatus::Fail } else { CheckStatus::Ok },
        found: if unserved > 0 { format!("{found}; {unserved} slots have none") } else { found },
        advice: (unserved > 0).then_some(
            "redis-cli --cluster fix: sessions in those slots cannot be reached, and by default none at all",
        ),
    }
}

/// The checks of each master, in the order of the first one's: once where all found the same, else beside who did.
pub(super) fn as_one(of: Vec<(String, Vec<Check>)>) -> Vec<Check> {
    let longest = of.iter().map(|(_, checks)| checks.len()).max().unwrap_or_default();
    let rows = (0..longest).flat_map(|at| {
        let row = of.iter().filter_map(|(address, checks)| Some((address, checks.get(at)?)));
        told(row.collect())
    });
    rows.collect()
}

fn told(row: Vec<(&String, &Check)>) -> Vec<Check> {
    if row.windows(2).all(|pair| pair[0].1 == pair[1].1) {
        return row.into_iter().take(1).map(|(_, check)| check.clone()).collect();
    }
    let beside = |(address, check): (&String, &Check)| Check {
        found: format!("{address}: {}", check.found),
        ..check.clone()
    };
    row.into_iter().map(beside).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(check: &'static str, found: &str) -> Check {
        Check { check, status: CheckStatus::Ok, found: found.to_owned(), advice: None }
    }

    #[test]
    fn what_all_have_in_common_is_told_once() {
        let of = |address: &str, trip| {
            (address.to_owned(), vec![check("version", "Redis 7.0.15"), check("round trip", trip)])
        };
        let told = as_one(vec![of("a:1", "1 ms"), of("b:2", "2 ms")]);
        let found: Vec<_> = told.iter().map(|check| check.found.as_str()).collect();
        assert_eq!(found, ["Redis 7.0.15", "a:1: 1 ms", "b:2: 2 ms"]);
        assert_eq!(as_one(vec![of("a:1", "1 ms")])[1].found, "1 ms");
    }
}
