//! tenure's command line.

fn main() {}
