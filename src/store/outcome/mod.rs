//! What operations take and give. Losing is an answer, so every outcome is a variant.

mod class;
mod door;
mod hint;
mod namespace;
mod ownership;
mod reading;
mod turn;
mod upkeep;
mod worker;

pub use class::*;
pub use door::*;
pub use hint::*;
pub use namespace::*;
pub use ownership::*;
pub use reading::*;
pub use turn::*;
pub use upkeep::*;
pub use worker::*;
