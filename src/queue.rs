//! A channel between two threads that is bounded in items and in bytes.
//!
//! What waits is counted, so that a slow receiver stops its sender before memory fills: a bound on items alone lets a few
//! large ones through, a bound on bytes alone a great many small ones. An item that is larger than all that may wait goes
//! alone.

use crate::spin::Spin;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

/// What may wait in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    /// Items, at least one.
    pub(crate) items: usize,
    /// Bytes, all items together, unless it is only one.
    pub(crate) bytes: usize,
}

/// What an item weighs in a queue.
pub(crate) trait Weight {
    /// Bytes of memory, about.
    fn bytes(&self) -> usize;
}

/// A queue with at most `bound` in it.
pub(crate) fn queue<T: Weight>(bound: Bound) -> (Sender<T>, Receiver<T>) {
    let state = State {
        items: VecDeque::new(),
        bytes: 0,
        senders: 1,
        receiving: true,
        senders_waiting: 0,
        receivers_waiting: 0,
        spin: Spin::default(),
    };
    let shared = Arc::new(Shared { bound, state: Mutex::new(state), came: Condvar::new(), went: Condvar::new() });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

struct Shared<T> {
    bound: Bound,
    state: Mutex<State<T>>,
    came: Condvar,
    went: Condvar,
}

struct State<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    senders: usize,
    receiving: bool,
    /// So many wait: where none does nobody is woken, as that costs more than an item.
    senders_waiting: usize,
    receivers_waiting: usize,
    /// How the receiver waits.
    spin: Spin,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing that can panic runs while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the first item, and makes room.
    fn take(&self, state: &mut State<T>) -> Option<T> {
        let (item, bytes) = state.items.pop_front()?;
        state.bytes -= bytes;
        if state.senders_waiting > 0 {
            self.went.notify_all();
        }
        Some(item)
    }
}

/// The end that items go in at.
pub(crate) struct Sender<T>(Arc<Shared<T>>);

/// The end that items come out at.
pub(crate) struct Receiver<T>(Arc<Shared<T>>);

/// Why no item came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Empty {
    /// Nothing is there yet.
    Nothing,
    /// Nothing is there, and every sender has gone.
    Ended,
}

impl<T: Weight> Sender<T> {
    /// Puts an item in, once there is room for it; gives it back if the receiver has gone.
    pub(crate) fn send(&self, item: T) -> Result<(), T> {
        let Shared { bound, came, went, .. } = &*self.0;
        let bytes = item.bytes();
        let mut state = self.0.lock();
        loop {
            if !state.receiving {
                return Err(item);
            }
            let room = state.items.len() < bound.items && state.bytes.saturating_add(bytes) <= bound.bytes;
            if room || state.items.is_empty() {
                state.items.push_back((item, bytes));
                state.bytes += bytes;
                if state.receivers_waiting > 0 {
                    came.notify_one();
                }
                return Ok(());
            }
            state.senders_waiting += 1;
            state = went.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.senders_waiting -= 1;
        }
    }
}

impl<T> Receiver<T> {
    /// The next item, if one is there.
    pub(crate) fn try_recv(&self) -> Result<T, Empty> {
        let mut state = self.0.lock();
        match self.0.take(&mut state) {
            Some(item) => Ok(item),
            None if state.senders == 0 => Err(Empty::Ended),
            None => Err(Empty::Nothing),
        }
    }

    /// The next item, once it is there; `None` when every sender has gone.
    pub(crate) fn recv(&self) -> Option<T> {
        self.recv_until(None).ok()
    }

    /// The next item, if it comes before `deadline`.
    pub(crate) fn recv_until(&self, deadline: Option<Instant>) -> Result<T, Empty> {
        let mut state = self.0.lock();
        loop {
            if let Some(item) = self.0.take(&mut state) {
                state.spin.came();
                return Ok(item);
            }
            if state.senders == 0 {
                return Err(Empty::Ended);
            }
            let now = Instant::now();
            let left = deadline.map(|deadline| deadline.saturating_duration_since(now));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Empty::Nothing);
            }
            if state.spin.goes_on(now) {
                drop(state);
                thread::yield_now();
                state = self.0.lock();
                continue;
            }
            state.receivers_waiting += 1;
            state = match left {
                None => self.0.came.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) => self.0.came.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
            state.receivers_waiting -= 1;
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Sender(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.senders -= 1;
        if state.senders == 0 {
            self.0.came.notify_all();
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let left = {
            let mut state = self.0.lock();
            state.receiving = false;
            state.bytes = 0;
            std::mem::take(&mut state.items)
        };
        self.0.went.notify_all();
        // Not under the lock: what is left may hold anything.
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::Duration;

    impl Weight for usize {
        fn bytes(&self) -> usize {
            *self
        }
    }

    /// How many of `sent` go in before anything comes out.
    fn fit(bound: Bound, sent: &'static [usize]) -> usize {
        let (sender, receiver) = queue(bound);
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let sending = thread::spawn(move || {
            sent.iter().for_each(|item| {
                sender.send(*item).unwrap();
                counted.fetch_add(1, SeqCst);
            });
        });
        // It has stopped when it waits for room: what it sent does not grow any more.
        let mut fit = usize::MAX;
        while fit != count.load(SeqCst) || fit == 0 {
            fit = count.load(SeqCst);
            thread::sleep(Duration::from_millis(50));
        }
        let received: Vec<usize> = std::iter::from_fn(|| receiver.recv()).collect();
        assert_eq!(received, sent);
        sending.join().unwrap();
        fit
    }

    #[test]
    fn no_more_waits_than_may() {
        assert_eq!(fit(Bound { items: 3, bytes: 1_000 }, &[1; 10]), 3);
        assert_eq!(fit(Bound { items: 100, bytes: 25 }, &[10; 10]), 2);
        assert_eq!(fit(Bound { items: 100, bytes: 25 }, &[70, 1, 1]), 1, "one that is too large goes alone");
        assert_eq!(fit(Bound { items: 3, bytes: 25 }, &[0; 4]), 3);
    }

    /// Longer than a receiver looks before it sleeps.
    fn long_after() {
        thread::sleep(Duration::from_millis(20));
    }

    #[test]
    fn a_receiver_that_sleeps_is_woken() {
        let (sender, receiver) = queue::<usize>(Bound { items: 1, bytes: 10 });
        let sending = thread::spawn(move || {
            long_after();
            sender.send(1).unwrap();
            long_after();
            drop(sender);
        });
        assert_eq!((receiver.recv(), receiver.recv()), (Some(1), None));
        sending.join().unwrap();

        let (sender, receiver) = queue::<usize>(Bound { items: 1, bytes: 10 });
        for wait in [Duration::from_micros(5), Duration::from_millis(2)] {
            assert_eq!(receiver.recv_until(Some(Instant::now() + wait)), Err(Empty::Nothing));
        }
        sender.send(1).unwrap();
        assert_eq!(receiver.recv_until(Some(Instant::now())), Ok(1), "what is there needs no time");
    }

    #[test]
    fn either_end_hears_that_the_other_has_gone() {
        let (sender, receiver) = queue::<usize>(Bound { items: 1, bytes: 10 });
        let second = sender.clone();
        sender.send(1).unwrap();
        drop(sender);
        assert_eq!((receiver.try_recv(), receiver.try_recv()), (Ok(1), Err(Empty::Nothing)));
        assert_eq!(receiver.recv_until(Some(Instant::now())), Err(Empty::Nothing));
        drop(second);
        assert_eq!((receiver.try_recv(), receiver.recv()), (Err(Empty::Ended), None));

        let (sender, receiver) = queue::<usize>(Bound { items: 1, bytes: 10 });
        sender.send(1).unwrap();
        let waiting = thread::spawn(move || sender.send(2));
        drop(receiver);
        assert_eq!(waiting.join().unwrap(), Err(2));
    }
}
