//! Clients as coroutines of one thread; a random choice decides which one runs next.

use super::{Chance, Sim};
use generator::{Generator, Gn};
use std::{
    cell::RefCell,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

/// The code of a client.
pub(crate) type SimClient = Box<dyn FnOnce() + Send>;

type Coroutine = Generator<'static, (), ()>;

/// Stack size of a client in words of eight bytes: unoptimised code needs more.
const STACK: usize = if cfg!(debug_assertions) { 256 << 10 } else { 64 << 10 };

thread_local! {
    /// Coroutines that have ended, whose stacks are reused.
    static SPARE: RefCell<Vec<Coroutine>> = const { RefCell::new(Vec::new()) };
}

/// Yields to other clients.
pub(super) fn pause() {
    #[expect(deprecated, reason = "it is the one that needs nothing handed down to every system call")]
    generator::yield_with(());
}

/// Runs clients on a machine until all have ended.
pub(crate) fn run(sim: &Sim, clients: Vec<SimClient>, chance: &mut Chance) {
    let mut alive: Vec<Coroutine> = clients.into_iter().map(coroutine).collect();
    // Some schedules switch at every call, others let one client run far ahead.
    let patience = *chance.one_of(&[1, 1, 2, 4, 16, 64]);
    let mut at = 0;
    while !alive.is_empty() {
        if at >= alive.len() || chance.once_in(patience) {
            at = chance.below(alive.len());
        }
        sim.machine().in_client = true;
        alive[at].resume();
        sim.machine().in_client = false;
        if alive[at].is_done() {
            let ended = alive.swap_remove(at);
            SPARE.with_borrow_mut(|spare| spare.push(ended));
        }
    }
}

fn coroutine(client: SimClient) -> Coroutine {
    match SPARE.with_borrow_mut(Vec::pop) {
        Some(mut spare) => {
            spare.init_code(client);
            spare
        }
        None => Gn::new_opt(STACK, client),
    }
}

/// Runs a future to completion; other clients run while it waits.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(done) => return done,
            Poll::Pending => crate::files::world::simulation::pause(),
        }
    }
}
