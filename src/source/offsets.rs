//! Which offsets of a partition have been read: a log may hold a record twice, but not out of order.

/// How many stretches with holes between them are remembered. Kafka's own transactions leave a hole each.
const STRETCHES_MAX: usize = 1 << 16;

/// The offsets read of one partition, as stretches without holes.
#[derive(Default)]
pub(crate) struct Offsets {
    stretches: std::collections::VecDeque<(u64, u64)>,
}

/// What an offset is to what was read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It follows.
    New,
    /// The same record again.
    Again,
    /// It comes too late: greater offsets were read, and not this one.
    OutOfOrder {
        /// The greatest offset read before.
        after: u64,
    },
}

impl Offsets {
    /// Notes `offset` and says what it is.
    pub(crate) fn note(&mut self, offset: u64) -> Seen {
        let Some(last) = self.stretches.back_mut() else {
            self.stretches.push_back((offset, offset));
            return Seen::New;
        };
        if Some(offset) == last.1.checked_add(1) {
            last.1 = offset;
            return Seen::New;
        }
        let after = last.1;
        if offset > after {
            self.stretches.push_back((offset, offset));
            if self.stretches.len() > STRETCHES_MAX {
                self.stretches.pop_front();
            }
            return Seen::New;
        }
        let at = self.stretches.partition_point(|(_, end)| *end < offset);
        match self.stretches.get(at) {
            Some((start, _)) if *start <= offset => Seen::Again,
            _ => Seen::OutOfOrder { after },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_rise_or_were_read_before() {
        let mut offsets = Offsets::default();
        for offset in [5, 6, 7, 10, 11] {
            assert_eq!(offsets.note(offset), Seen::New);
        }
        assert_eq!([5, 7, 10].map(|offset| offsets.note(offset)), [Seen::Again; 3]);
        assert_eq!([4, 8, 9].map(|offset| offsets.note(offset)), [Seen::OutOfOrder { after: 11 }; 3]);
    }
}
