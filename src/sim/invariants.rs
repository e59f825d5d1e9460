//! Names of what must hold after every step.

/// A session is taken from nobody who may still believe in its lease.
pub const ONE_OWNER: &str = "never two unfenced owners";
/// Entries and epochs of a session follow each other without gaps, each under the epoch of its owner.
pub const CHAIN: &str = "epochs and seqs form one chain";
/// A message is in one place from its acceptance on.
pub const ONE_PLACE: &str = "every accepted message is in exactly one place";
/// No boundary is written on a lease that is not trusted any more.
pub const TRUST: &str = "nobody acts on a lease outside its trust window";
/// Who is buried renews nothing any more.
pub const BURIED: &str = "the buried stay buried";
/// A lazy turn whose owner died in the middle of it goes on at somebody's word, and not before.
pub const WORD: &str = "a suspended turn waits for a word";
/// `ready`, `held`, `timers` and `index` say what the sessions say.
pub const INDEXES: &str = "indexes agree with the sessions";
/// Each message ends once.
pub const ONE_END: &str = "exactly one end of each turn";
/// Nothing of the runtime, and no client, panics.
pub const NO_PANIC: &str = "nothing panics";
/// When faults have stopped, everything is finished in time.
pub const LIVENESS: &str = "everything is finished when faults have stopped";
/// What is runnable and nobody able owns is claimed within the lease and two seconds in which nothing stands in the way.
pub const TAKEN: &str = "nothing runnable waits for an owner longer than the lease and two seconds";
/// What a client was told is accepted is answered in the end.
pub const NO_LOSS: &str = "no acknowledged message is lost";
/// The answers that everybody got about a session could have been given one after the other.
pub const LINEAR: &str = "each session is linearizable";
/// A reader finds what it read before, and more.
pub const READERS: &str = "each reader sees histories grow";
/// Whoever saw something finds all that it came of, across sessions.
pub const CAUSES: &str = "nobody sees an effect without its cause";
/// A run ends.
pub const ENDS: &str = "a run ends";
