//! Rows that wait for their time to be complete, and the order in which the keys of one time are taken.

use super::prefetch;
use super::states::States;
use crate::Time;
use std::collections::VecDeque;
use std::hash::Hash;
use std::ops::Range;
use std::vec::IntoIter;

/// A row that comes with its time.
pub trait Timed {
    /// Its time.
    fn time(&self) -> Time;
}

impl<T> Timed for (T, Time) {
    fn time(&self) -> Time {
        self.1
    }
}

impl<T> Timed for (T, Time, isize) {
    fn time(&self) -> Time {
        self.1
    }
}

/// Rows that wait, in the lists in which they came.
///
/// They mostly come in the order of their times, from one sender or another, and then nothing is sorted, and no row moves
/// before it is taken.
pub struct Staged<T> {
    /// None of them is empty.
    lists: VecDeque<IntoIter<T>>,
    len: usize,
    in_order: bool,
    first: Time,
}

impl<T> Default for Staged<T> {
    fn default() -> Self {
        Staged { lists: VecDeque::new(), len: 0, in_order: true, first: Time::MAX }
    }
}

impl<T: Timed> Staged<T> {
    /// Takes all of `rows`.
    pub fn append(&mut self, rows: &mut Vec<T>) {
        let Some(first) = rows.first().map(T::time) else { return };
        let sorted = rows.is_sorted_by_key(T::time);
        let least = if sorted { first } else { rows.iter().map(T::time).fold(first, Time::min) };
        let last = self.lists.back().and_then(|list| list.as_slice().last());
        self.in_order = self.in_order && sorted && last.is_none_or(|last| last.time() <= first);
        self.first = self.first.min(least);
        self.len += rows.len();
        self.lists.push_back(std::mem::take(rows).into_iter());
    }

    /// The first time of which a row waits.
    pub fn first(&self) -> Option<Time> {
        (self.len > 0).then_some(self.first)
    }

    /// How many rows wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no row waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a row of `time` waits.
    pub fn has(&mut self, time: Time) -> bool {
        self.put_in_order();
        self.lists.iter().any(|list| list.as_slice().binary_search_by_key(&time, T::time).is_ok())
    }

    /// The rows that wait, roughly in the order in which they will be taken.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.lists.iter().flat_map(IntoIter::as_slice)
    }

    /// Gives those of the rows that wait with these numbers to `each`, roughly by the order in which they will be taken.
    pub(super) fn range(&self, mut numbers: Range<usize>, mut each: impl FnMut(&T)) {
        for list in &self.lists {
            if numbers.is_empty() {
                break;
            }
            let list = list.as_slice();
            let end = numbers.end.min(list.len());
            list.get(numbers.start..end).into_iter().flatten().for_each(&mut each);
            numbers = numbers.start.saturating_sub(list.len())..numbers.end - end;
        }
    }

    fn put_in_order(&mut self) {
        if !self.in_order {
            let mut rows: Vec<T> = self.lists.drain(..).flatten().collect();
            rows.sort_by_key(T::time);
            self.lists.push_back(rows.into_iter());
            self.in_order = true;
        }
    }

    /// Hands the rows of each time to `change`, which may leave some out.
    pub fn rework(&mut self, mut change: impl FnMut(&mut Vec<T>)) {
        self.put_in_order();
        let mut waiting = std::mem::take(self).lists.into_iter().flatten().peekable();
        let (mut rows, mut left) = (Vec::new(), Vec::new());
        while let Some(row) = waiting.next() {
            let time = row.time();
            rows.push(row);
            if waiting.peek().is_none_or(|next| next.time() != time) {
                change(&mut rows);
                left.append(&mut rows);
            }
        }
        self.append(&mut left);
    }

    /// Adds all rows of the first time to `to`, each as `Some`, to be taken in any order, and says how many they are.
    pub fn take_first(&mut self, to: &mut Vec<Option<T>>) -> usize {
        self.put_in_order();
        let before = to.len();
        while let Some(list) = self.lists.front_mut() {
            let rows = list.as_slice().iter().take_while(|row| row.time() == self.first).count();
            to.extend(list.take(rows).map(Some));
            if list.len() > 0 {
                break;
            }
            self.lists.pop_front();
        }
        let taken = to.len() - before;
        self.len -= taken;
        self.first = self.lists.front().and_then(|list| list.as_slice().first()).map_or(Time::MAX, T::time);
        taken
    }
}

/// Empties a list of rows whose room is used again, but not the room that one large time needed.
pub fn clear<T>(rows: &mut Vec<T>) {
    rows.clear();
    rows.shrink_to(KEPT_MAX);
}

/// For so many rows room is kept where none waits.
const KEPT_MAX: usize = 1 << 14;

/// So few rows are quickly compared one with another. Most transactions have fewer.
const FEW: usize = 8;

/// The order of the rows of one time by the places of their keys: rows of one key stand together, and tables are gone
/// through from one end to the other.
#[derive(Default)]
pub struct ByPlace(Vec<u64>);

impl ByPlace {
    /// Adds the places of the next rows' keys.
    pub fn extend(&mut self, places: impl Iterator<Item = u32>) {
        let before = self.0.len();
        self.0.extend(places.zip(before as u64..).map(|(place, at)| u64::from(place) << 32 | at));
    }

    /// The places in the order in which they stand.
    pub fn places(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().map(|row| (row >> 32) as u32)
    }

    /// Whether any order will do: these are few rows, no two of one place.
    pub fn any_will_do(&self) -> bool {
        let mut rest = self.0.as_slice();
        if rest.len() > FEW {
            return false;
        }
        while let [first, others @ ..] = rest {
            if others.iter().any(|other| other >> 32 == first >> 32) {
                return false;
            }
            rest = others;
        }
        true
    }

    /// Orders rows by the places of their keys; rows of one place stand in the order in which they came.
    pub fn sort(&mut self) {
        self.0.sort_unstable();
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        clear(&mut self.0);
    }

    /// The places, each with the numbers of its rows, once they are [sorted](Self::sort). Keys that differ may share a place.
    pub fn groups(&self) -> impl Iterator<Item = (u32, impl Iterator<Item = usize> + Clone + '_)> + '_ {
        debug_assert!(self.0.is_sorted(), "rows of one place stand together");
        self.0.chunk_by(|a, b| a >> 32 == b >> 32).map(|group| {
            let place = group.first().map_or(0, |first| (first >> 32) as u32);
            (place, group.iter().map(|row| *row as u32 as usize))
        })
    }

    /// Asks for those of `rows` that stand behind the one with this number in the order, and for what they will need of
    /// `states`, as [`Ahead`](super::Ahead) does where times are small.
    pub fn prefetch<T, K: Hash + Eq, S>(&self, number: usize, rows: &[T], states: &States<K, S>, within: impl Fn(&S)) {
        let ahead = |by: usize| self.0.get(number + by).copied();
        let place = |row: u64| (row >> 32) as u32;
        if self.0.len() < prefetch::WORDS {
            return;
        }
        if let Some(row) = ahead(prefetch::WORDS) {
            states.prefetch_word(place(row));
        }
        if let Some(row) = ahead(prefetch::SLOTS) {
            states.prefetch_slot(place(row));
        }
        if let Some(row) = ahead(prefetch::STATES) {
            states.prefetch_within(place(row), within);
            rows.get(row as u32 as usize).into_iter().for_each(prefetch::prefetch);
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
            let rows: Vec<(usize, Time)> = times.iter().copied().enumerate().collect();
            rows.chunks(2).for_each(|rows| staged.append(&mut rows.to_vec()));
            staged.append(&mut Vec::new());
            assert!(staged.has(3) && !staged.has(4) && staged.len() == 5);
            let mut found = Vec::new();
            while let Some(first) = staged.first() {
                let mut rows = Vec::new();
                assert_eq!(staged.take_first(&mut rows), rows.len());
                let rows: Vec<(usize, Time)> = rows.into_iter().flatten().collect();
                assert!(rows.iter().all(|(_, time)| *time == first));
                found.extend(rows.into_iter().map(|(row, time)| (time, row)));
            }
            assert!(staged.is_empty());
            let mut expected: Vec<(Time, usize)> = times.into_iter().zip(0..).collect();
            expected.sort();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_is_left_out_of_a_time_is_gone() {
        let mut staged = Staged::default();
        staged.append(&mut vec![(1, 3), (2, 1), (3, 2), (4, 1), (5, 2)]);
        staged.rework(|rows| rows.retain(|(row, _)| row % 2 == 0));
        assert_eq!((staged.first(), staged.has(2), staged.len()), (Some(1), false, 2));
        staged.append(&mut vec![(6, 2)]);
        assert_eq!(staged.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [2, 4, 6]);
        staged.rework(Vec::clear);
        assert_eq!((staged.first(), staged.len()), (None, 0));
    }

    #[test]
    fn a_range_goes_over_lists() {
        let mut staged = Staged::default();
        (0..20u64).collect::<Vec<_>>().chunks(7).for_each(|rows| {
            staged.append(&mut rows.iter().map(|row| (*row, *row)).collect());
        });
        staged.take_first(&mut Vec::new());
        for range in [0..0, 0..3, 4..9, 5..19, 18..30, 25..30] {
            let mut found = Vec::new();
            staged.range(range.clone(), |(row, _)| found.push(*row));
            assert_eq!(found, (1..20).skip(range.start).take(range.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn rows_of_a_key_stand_together() {
        let mut order = ByPlace::default();
        assert!(order.any_will_do());
        order.extend([7, 8].into_iter());
        order.extend([9].into_iter());
        assert!(order.any_will_do() && order.places().eq([7, 8, 9]));
        order.clear();
        order.extend([7, 8, 7, 9, 7].into_iter());
        assert!(!order.any_will_do());
        order.sort();
        let mut groups: Vec<Vec<usize>> = order.groups().map(|(_, rows)| rows.collect()).collect();
        groups.sort();
        assert_eq!(groups, [vec![0, 2, 4], vec![1], vec![3]]);
        order.clear();
        order.extend(0..100);
        assert!(!order.any_will_do(), "many are looked at in the order of the table");
    }
}
