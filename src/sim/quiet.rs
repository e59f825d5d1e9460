//! The moment in which everybody waits.

use std::{
    future::poll_fn,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
};

/// Knows when nobody can go on by themselves: the runtime is about to put its thread to sleep.
#[derive(Default)]
pub(super) struct Quiet {
    is_quiet: AtomicBool,
    waits: Mutex<Option<Waker>>,
}

impl Quiet {
    /// The runtime has nothing to run.
    pub(super) fn reached(&self) {
        self.is_quiet.store(true, Ordering::Relaxed);
        let waker = self.waits.lock().expect("nobody panics with it").take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) async fn wait(&self) {
        poll_fn(|cx| {
            if self.is_quiet.swap(false, Ordering::Relaxed) {
                return Poll::Ready(());
            }
            *self.waits.lock().expect("nobody panics with it") = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
