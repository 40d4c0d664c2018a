//! Rows that wait for their time to be complete, and the order in which the keys of one time are taken.

use super::prefetch;
use super::states::States;
use crate::Time;
use std::collections::VecDeque;
use std::hash::Hash;
use std::ops::Range;

/// Rows that wait, each with its time.
///
/// They mostly come in the order of their times, from one sender or another, and then nothing is sorted.
pub struct Staged<T> {
    rows: VecDeque<(Time, T)>,
    in_order: bool,
    first: Time,
}

impl<T> Default for Staged<T> {
    fn default() -> Self {
        Staged { rows: VecDeque::new(), in_order: true, first: Time::MAX }
    }
}

impl<T> Staged<T> {
    /// Adds a row.
    pub fn push(&mut self, time: Time, row: T) {
        self.in_order = self.in_order && self.rows.back().is_none_or(|(last, _)| *last <= time);
        self.first = self.first.min(time);
        self.rows.push_back((time, row));
    }

    /// The first time of which a row waits.
    pub fn first(&self) -> Option<Time> {
        (!self.rows.is_empty()).then_some(self.first)
    }

    /// How many rows wait.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row waits.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether a row of `time` waits.
    pub fn has(&mut self, time: Time) -> bool {
        self.put_in_order();
        self.rows.binary_search_by_key(&time, |(time, _)| *time).is_ok()
    }

    /// The rows that wait, roughly in the order in which they will be taken.
    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.rows.iter().map(|(_, row)| row)
    }

    /// Those of the rows that wait with these numbers, roughly by the order in which they will be taken.
    pub(super) fn range(&self, numbers: Range<usize>) -> impl Iterator<Item = &T> {
        let end = numbers.end.min(self.rows.len());
        self.rows.range(numbers.start.min(end)..end).map(|(_, row)| row)
    }

    fn put_in_order(&mut self) {
        if !self.in_order {
            self.rows.make_contiguous().sort_by_key(|(time, _)| *time);
            self.in_order = true;
        }
    }

    /// Hands the rows of each time to `change`, which may leave some out.
    pub fn rework(&mut self, mut change: impl FnMut(&mut Vec<T>)) {
        self.put_in_order();
        let mut waiting = std::mem::take(&mut self.rows).into_iter().peekable();
        let mut rows = Vec::new();
        while let Some((time, row)) = waiting.next() {
            rows.push(row);
            if waiting.peek().is_none_or(|(next, _)| *next != time) {
                change(&mut rows);
                self.rows.extend(rows.drain(..).map(|row| (time, row)));
            }
        }
        self.first = self.rows.front().map_or(Time::MAX, |(time, _)| *time);
    }

    /// Adds all rows of the first time to `to`, each as `Some`, to be taken in any order, and says how many they are.
    pub fn take_first(&mut self, to: &mut Vec<Option<T>>) -> usize {
        self.put_in_order();
        let rows = self.rows.iter().take_while(|(time, _)| *time == self.first).count();
        to.extend(self.rows.drain(..rows).map(|(_, row)| Some(row)));
        self.first = self.rows.front().map_or(Time::MAX, |(time, _)| *time);
        if self.rows.is_empty() && self.rows.capacity() > KEPT_MAX {
            self.rows.shrink_to(KEPT_MAX);
        }
        rows
    }
}

/// Empties a list of rows whose room is used again, but not the room that one large time needed.
pub fn clear<T>(rows: &mut Vec<T>) {
    rows.clear();
    rows.shrink_to(KEPT_MAX);
}

/// For so many rows room is kept where none waits.
const KEPT_MAX: usize = 1 << 14;

/// The order of the rows of one time by the places of their keys: rows of one key stand together, and tables are gone
/// through from one end to the other.
#[derive(Default)]
pub struct ByPlace(Vec<u64>);

impl ByPlace {
    /// Orders rows by the places of their keys; rows of one place stand in the order in which they came.
    pub fn order(&mut self, places: impl Iterator<Item = u32>) {
        clear(&mut self.0);
        self.0.extend(places.enumerate().map(|(at, place)| u64::from(place) << 32 | at as u64));
        self.0.sort_unstable();
    }

    /// The places, each with the numbers of its rows. Keys that differ may share a place.
    pub fn groups(&self) -> impl Iterator<Item = (u32, impl Iterator<Item = usize> + Clone + '_)> + '_ {
        self.0.chunk_by(|a, b| a >> 32 == b >> 32).map(|group| {
            let place = group.first().map_or(0, |first| (first >> 32) as u32);
            (place, group.iter().map(|row| *row as u32 as usize))
        })
    }

    /// Asks for what the rows behind the one with this number in the order will need of `states`, as
    /// [`Ahead`](super::Ahead) does where times are small.
    pub fn prefetch<K: Hash + Eq, S>(&self, number: usize, states: &States<K, S>, within: impl Fn(&S)) {
        let place = |ahead: usize| self.0.get(number + ahead).map(|row| (row >> 32) as u32);
        if self.0.len() < prefetch::WORDS {
            return;
        }
        if let Some(place) = place(prefetch::SLOTS) {
            states.prefetch_slot(place);
        }
        if let Some(place) = place(prefetch::STATES) {
            states.prefetch_within(place, within);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_in_order_and_rows_as_they_came() {
        for times in [[1, 1, 2, 3, 3], [3, 1, 2, 3, 1]] {
            let mut staged = Staged::default();
            times.iter().enumerate().for_each(|(at, time)| staged.push(*time, at));
            assert!(staged.has(3) && !staged.has(4));
            let mut found = Vec::new();
            while let Some(first) = staged.first() {
                let mut rows = Vec::new();
                staged.take_first(&mut rows);
                found.extend(rows.into_iter().map(|row| (first, row.unwrap())));
            }
            let mut expected: Vec<(Time, usize)> = times.into_iter().zip(0..).collect();
            expected.sort();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_is_left_out_of_a_time_is_gone() {
        let mut staged = Staged::default();
        [(3, 1), (1, 2), (2, 3), (1, 4), (2, 5)].into_iter().for_each(|(time, row)| staged.push(time, row));
        staged.rework(|rows| rows.retain(|row| row % 2 == 0));
        assert_eq!((staged.first(), staged.has(2), staged.len()), (Some(1), false, 2));
        staged.push(2, 6);
        assert_eq!(staged.iter().copied().collect::<Vec<_>>(), [2, 4, 6]);
    }

    #[test]
    fn rows_of_a_key_stand_together() {
        let mut order = ByPlace::default();
        order.order([7, 8, 7, 9, 7].into_iter());
        let mut groups: Vec<Vec<usize>> = order.groups().map(|(_, rows)| rows.collect()).collect();
        groups.sort();
        assert_eq!(groups, [vec![0, 2, 4], vec![1], vec![3]]);
    }
}
