//! Memory that is read soon, asked for now: rows that lie apart are then waited for together, not one after the other.
//!
//! ```text
//!   rows that wait:  │ applied │ 0 ......... STATES ......... SLOTS ......... WORDS ......
//!                                what the state   the slot         the word
//!                                points to
//! ```
//!
//! This is the one place of the crate with unsafe code. Without it a change of the bench `dataflow` (150,000 conversations, least
//! of four runs) takes 1.24, 1.37 and 1.46 times the processor time, at 1,000, 10,000 and 100,000 rows a step, and a row of the
//! snapshot 1.11 times.

#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "the instruction has no safe name"))]

use super::staged::{Staged, Timed};
use super::states::States;
use std::collections::VecDeque;
use std::hash::Hash;

/// Lines of one value that are asked for, at most: what is large is gone through in order, which the processor sees by itself.
const LINES_MAX: usize = 4;
const LINE: usize = 64;

/// Has the processor fetch `value`, or the first of it, into its cache. Nothing else comes of it; where no instruction for it is
/// known, not even that.
#[inline(always)]
pub fn prefetch<T: ?Sized>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let first = std::ptr::from_ref(value).cast::<i8>();
        // SAFETY: the instruction changes nothing that a program could see, and faults nowhere, whatever the address.
        let line = |at| unsafe { _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(at)) };
        let bytes = size_of_val(value);
        (0..bytes).step_by(LINE).take(LINES_MAX).for_each(line);
        // It need not begin where a line does.
        if bytes > 1 && bytes <= LINES_MAX * LINE {
            line(bytes - 1);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// How far ahead of the row that is applied each kind of memory is asked for, in rows.
pub(super) const WORDS: usize = 32;
pub(super) const SLOTS: usize = 24;
pub(super) const STATES: usize = 12;

/// The first rows that wait: where their keys stand, and how many have been asked for. It need not be right, where rows were
/// left out or put in order meanwhile: a row too few is waited for.
#[derive(Default)]
pub struct Ahead {
    /// The places of their keys, whose words have been asked for.
    places: VecDeque<u32>,
    slots: usize,
    states: usize,
}

impl Ahead {
    /// Asks for what the next of the rows in `staged` will need of `states`: what `place` says of a row, and what `within` asks
    /// for in turn.
    pub fn prefetch<T: Timed, K: Hash + Eq, S>(
        &mut self,
        staged: &Staged<T>,
        states: &States<K, S>,
        place: impl Fn(&T) -> u32,
        within: impl Fn(&S),
    ) {
        let Ahead { places, slots, states: asked } = self;
        places.truncate(staged.len());
        if places.len() < WORDS {
            staged.range(places.len()..WORDS, |row| {
                let place = place(row);
                states.prefetch_word(place);
                places.push_back(place);
            });
        }
        let next = |from: &mut usize, most: usize, ask: &dyn Fn(u32)| {
            let to = most.min(places.len());
            if *from < to {
                places.range(*from..to).for_each(|place| ask(*place));
            }
            *from = to;
        };
        next(slots, SLOTS, &|place| states.prefetch_slot(place));
        next(asked, STATES, &|place| states.prefetch_within(place, &within));
    }

    /// So many of the first rows have been taken.
    pub fn took(&mut self, rows: usize) {
        let Ahead { places, slots, states } = self;
        places.drain(..rows.min(places.len()));
        for asked in [slots, states] {
            *asked = asked.saturating_sub(rows);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash::place;
    use super::*;
    use crate::Time;

    /// What can be seen of it is that nothing comes of it.
    #[test]
    fn anything_may_be_asked_for() {
        prefetch(&());
        prefetch(&[0u8; 1_000]);
        prefetch(&[0u64; 0][..]);
        prefetch("text");

        let key = |(key, _): &(u64, Time)| place(key);
        let (mut staged, mut states, mut ahead) = (Staged::default(), States::default(), Ahead::default());
        ahead.prefetch(&staged, &states, key, |_: &u64| unreachable!());
        staged.append(&mut (0..100).map(|key| (key, key)).collect());
        (0..50).for_each(|key| states.insert(place(&key), key, key));
        let (mut asked, mut taken) = (Vec::new(), Vec::new());
        while !staged.is_empty() {
            let found = std::cell::RefCell::new(Vec::new());
            ahead.prefetch(&staged, &states, key, |state| found.borrow_mut().push(*state));
            asked.extend(found.into_inner());
            ahead.took(staged.take_first(&mut taken));
        }
        assert_eq!(asked, (0..50).collect::<Vec<_>>(), "each once, what is there");

        // Of what was asked for most may be left out again.
        staged.append(&mut (0..100).map(|key| (key, 0)).collect());
        ahead.prefetch(&staged, &states, key, |_| {});
        staged.rework(|rows| rows.truncate(2));
        ahead.prefetch(&staged, &states, key, |_| {});
        ahead.took(staged.take_first(&mut taken));
        ahead.prefetch(&staged, &states, key, |_| unreachable!());
    }
}
