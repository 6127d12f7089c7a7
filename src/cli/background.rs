//! Leaving the processor to others.

/// From here on this thread, and every thread it starts, runs only where nothing else wants to
/// (`SCHED_IDLE` of sched(7)), so that a daemon on the same cores answers as if nothing went on
/// beside it. A lower `nice` alone does not do: whoever has just been woken waits for the slice of
/// whoever runs. There is no way back without privileges.
#[cfg(not(portable))]
pub(super) fn yield_to_others() {
    use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, unix};
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    // Where a sandbox forbids it, this works too and is felt more.
    let _ = unix::set_thread_priority_and_policy(unix::thread_native_id(), ThreadPriority::Min, idle);
}

/// Other systems have no such policy.
#[cfg(portable)]
pub(super) fn yield_to_others() {}
