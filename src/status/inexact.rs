//! The keys that are not exact, in bounded memory: of however many are told, those with the smallest names are kept and
//! the others are counted. Which ones are kept depends on what is told and not on the order of telling, which differs
//! from run to run.

use crate::report::Inexact;
use std::collections::BinaryHeap;

/// How many are kept.
pub(super) const KEPT: usize = 10_000;

/// What was told, as far as it is kept.
#[derive(Default)]
pub(super) struct InexactKeys {
    /// The greatest first.
    kept: BinaryHeap<Inexact>,
    more: u64,
}

impl InexactKeys {
    /// Notes one; beyond [`KEPT`], the greatest by table, key, LSN and cause only counts.
    pub(super) fn note(&mut self, inexact: Inexact) {
        self.kept.push(inexact);
        if self.kept.len() > KEPT {
            self.kept.pop();
            self.more += 1;
        }
    }

    /// Those kept, by table and key, and how many were told besides.
    pub(super) fn take(&mut self) -> (Vec<Inexact>, u64) {
        (std::mem::take(&mut self.kept).into_sorted_vec(), std::mem::take(&mut self.more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::InexactCause;
    use crate::time::Lsn;

    /// Number `n` of a set whose order by table and key is that of the numbers.
    fn inexact(n: usize) -> Inexact {
        let (table, key) = (n / 5_000, n % 5_000);
        Inexact {
            table: Some(format!("public.t{table}")),
            key: Some(format!("{key:04}")),
            // The LSN says nothing about what is kept.
            after: Lsn(20_000 - n as u64),
            cause: InexactCause::ValueNeverSeen,
        }
    }

    #[test]
    fn the_smallest_keys_are_kept_and_the_rest_is_counted_in_whatever_order_they_are_told() {
        const TOLD: usize = 12_345;
        // 7 and the number have no common divisor: a permutation.
        let orders: [&dyn Fn(usize) -> usize; 3] = [&|at| at, &|at| TOLD - 1 - at, &|at| at * 7 % TOLD];
        for order in orders {
            let mut keys = InexactKeys::default();
            for at in 0..TOLD {
                keys.note(inexact(order(at)));
                assert!(keys.kept.len() <= KEPT, "memory is bounded");
            }
            let (kept, more) = keys.take();
            assert_eq!(kept, (0..KEPT).map(inexact).collect::<Vec<_>>());
            assert_eq!(more, (TOLD - KEPT) as u64);
        }
    }

    #[test]
    fn up_to_the_limit_all_are_kept() {
        let mut keys = InexactKeys::default();
        (0..KEPT).rev().for_each(|n| keys.note(inexact(n)));
        let (kept, more) = keys.take();
        assert_eq!((kept.len(), more), (KEPT, 0));
    }
}
