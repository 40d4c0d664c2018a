//! What the connector is configured to do, and what befalls it.

use fastrand::Rng;

/// How a restarted connector goes on with the transaction it was inside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// From its first row, with a second BEGIN and numbers from 1.
    FirstRow,
    /// After the rows already processed, numbering from 1.
    SkipFromOne,
    /// After the rows already processed, numbering on from at most this many below the right number.
    SkipBehind(u64),
    /// Any of these, anew at each restart.
    Mixed,
}

/// Which records carry the `{"schema", "payload"}` wrapper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schemas {
    /// None.
    Off,
    /// All.
    On,
    /// Every key and value for itself. No real converter does that; a reader must not care.
    Mixed,
}

/// How `source.snapshot` is spelled while streaming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotField {
    /// null, as with `replace.null.with.default=false`.
    Null,
    /// `"false"`, the default.
    False,
    /// Not there.
    Absent,
}

/// Everything about the connector, the producer and their accidents.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectorOptions {
    /// Partitions of the topics of users, conversations, items and signals, in this order; at least 1 each.
    pub partitions: [i32; 4],
    /// Kills while streaming.
    pub restarts: usize,
    /// How a resumed transaction goes on.
    pub resume: Resume,
    /// Whether a resumed transaction whose first rows are skipped has a second BEGIN.
    pub second_begin: bool,
    /// Records between two offset flushes, on average.
    pub flush_every: u32,
    /// Most records the producer holds unwritten.
    pub in_flight_max: usize,
    /// Percentage of records that the producer writes twice in a row.
    pub duplicate_percent: u8,
    /// Snapshots cut short before the real one; needs earlier transactions.
    pub aborted_snapshots: usize,
    /// Transactions below L0 that are streamed nevertheless; at most as many as the history has.
    pub overlap: usize,
    /// Whether signals make incremental snapshots.
    pub incremental: bool,
    /// Whether signals make blocking snapshots.
    pub blocking: bool,
    /// REPLICA IDENTITY FULL.
    pub replica_identity_full: bool,
    /// The schema wrapper.
    pub schemas: Schemas,
    /// The spelling of `source.snapshot` while streaming.
    pub snapshot_field: SnapshotField,
    /// Whether tombstones also come as text `null` and as wrapped null.
    pub tombstone_spellings: bool,
    /// Whether a `d` is followed by a tombstone.
    pub tombstones: bool,
    /// Whether records hold fields no reader knows.
    pub extra_fields: bool,
    /// Whether optional fields (`ts_us`, `ts_ns`, `xmin`, `origin`, `origin_lsn`) are sometimes missing.
    pub sparse_fields: bool,
    /// Whether the order of fields is random.
    pub shuffle_fields: bool,
    /// Whether the heartbeat topic exists.
    pub heartbeats: bool,
    /// Rows withheld for good, with nothing in the log betraying it. 0 outside of tests that look for the loss.
    pub lose_rows: usize,
}

impl Default for ConnectorOptions {
    /// One run, nothing unusual: three partitions a table, plain JSON.
    fn default() -> Self {
        ConnectorOptions {
            partitions: [3; 4],
            restarts: 0,
            resume: Resume::FirstRow,
            second_begin: true,
            flush_every: 50,
            in_flight_max: 100,
            duplicate_percent: 0,
            aborted_snapshots: 0,
            overlap: 0,
            incremental: false,
            blocking: false,
            replica_identity_full: false,
            schemas: Schemas::Off,
            snapshot_field: SnapshotField::Null,
            tombstone_spellings: false,
            tombstones: true,
            extra_fields: false,
            sparse_fields: false,
            shuffle_fields: false,
            heartbeats: false,
            lose_rows: 0,
        }
    }
}

impl ConnectorOptions {
    /// Everything, each with modest probability: one log in some eight is plain.
    pub fn random(rng: &mut Rng) -> Self {
        let partitions = std::array::from_fn(|_| rng.i32(1..=4));
        if rng.u8(..8) == 0 {
            return ConnectorOptions { partitions, ..ConnectorOptions::default() };
        }
        let one_in = |rng: &mut Rng, count: u8| rng.u8(..count) == 0;
        ConnectorOptions {
            partitions,
            restarts: if rng.bool() { rng.usize(1..=4) } else { 0 },
            resume: rng
                .choice([Resume::FirstRow, Resume::SkipFromOne, Resume::SkipBehind(9), Resume::Mixed])
                .unwrap_or(Resume::Mixed),
            second_begin: rng.bool(),
            flush_every: rng.u32(4..200),
            in_flight_max: rng.usize(4..300),
            duplicate_percent: if one_in(rng, 3) { rng.u8(1..6) } else { 0 },
            aborted_snapshots: if one_in(rng, 3) { rng.usize(1..=2) } else { 0 },
            overlap: if one_in(rng, 3) { rng.usize(1..=10) } else { 0 },
            incremental: one_in(rng, 3),
            blocking: one_in(rng, 3),
            replica_identity_full: one_in(rng, 6),
            schemas: rng
                .choice([Schemas::Off, Schemas::Off, Schemas::Off, Schemas::Off, Schemas::On, Schemas::Mixed])
                .unwrap_or(Schemas::Off),
            snapshot_field: rng
                .choice([SnapshotField::Null, SnapshotField::False, SnapshotField::Absent])
                .unwrap_or(SnapshotField::Null),
            tombstone_spellings: one_in(rng, 4),
            tombstones: !one_in(rng, 8),
            extra_fields: one_in(rng, 4),
            sparse_fields: one_in(rng, 4),
            shuffle_fields: one_in(rng, 4),
            heartbeats: one_in(rng, 4),
            lose_rows: 0,
        }
    }
}
