//! `tenure sim ls`.

use serde::Serialize;
use tenure::sim::Scenario;

use crate::{failure::Failure, output};

#[derive(Serialize)]
struct Row {
    name: &'static str,
    about: &'static str,
    holds: &'static str,
}

pub(super) fn run(json: bool) -> Result<(), Failure> {
    for &Scenario { name, about, holds, .. } in Scenario::all() {
        if json {
            output::json(&Row { name, about, holds })?;
        } else {
            output::line(format!("{name}\n  {about}\n  {holds}\n"))?;
        }
    }
    Ok(())
}
