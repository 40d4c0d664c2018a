//! Deliberate breakages, each a way in which an engine like this one goes wrong, to prove that some test would see it.
//!
//! One build has all of them, with the feature `failpoints`; the environment variable `DELTAIC_MUTANT` says which is alive
//! in a process. Without the feature none can be, and nothing is left of them. `harness mutants` runs the tests against
//! each.

macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// A breakage.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutant {
            $($(#[$doc])* $name,)+
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &'static [Mutant] = &[$(Mutant::$name),+];

            /// Its name, as the environment variable has it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Mutant::$name => $text,)+
                }
            }
        }
    };
}

mutants! {
    /// The row that is replaced is not taken back.
    DropRetraction = "drop-retraction",
    /// A transaction is counted when one row is still missing.
    CloseOneRowEarly = "close-one-row-early",
    /// Of the changes of a key in one transaction the greatest row stays, not the last.
    GreatestInsteadOfLast = "greatest-instead-of-last",
    /// What Postgres left out is null.
    PlaceholderAsNull = "placeholder-as-null",
    /// A second row with one LSN is taken for a copy of the first, whatever its key.
    SameLsnAsRedelivery = "same-lsn-as-redelivery",
    /// A batch holds what differs between its ends, not what changed inside it.
    NetInsteadOfTouched = "net-instead-of-touched",
    /// A truncate does nothing.
    SkipTruncate = "skip-truncate",
    /// Rows are matched with their END by all of the transaction's id, of which the part behind the colon differs.
    WholeTransactionId = "whole-transaction-id",
    /// Counts are believed whatever restarts there were.
    CountsAfterRestart = "counts-after-restart",
    /// What is loaded in pieces is shown in pieces.
    PublishWhileHydrating = "publish-while-hydrating",
    /// A changed key's row does not take the values that were left out from the row it was.
    ForgetOldKey = "forget-old-key",
    /// A row that comes after its transaction had closed is lost.
    DropLateRow = "drop-late-row",
    /// A sink is given again what it holds.
    GiveWhatIsHeld = "give-what-is-held",
    /// An END that rows name and that was never read is passed over.
    PassOverHole = "pass-over-hole",
    /// Of two attempts at a snapshot the first one is shown.
    FirstSnapshot = "first-snapshot",
}

impl Mutant {
    /// Whether this breakage is alive in this process.
    #[cfg(feature = "failpoints")]
    pub(crate) fn lives(self) -> bool {
        static ALIVE: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
        ALIVE.get_or_init(|| std::env::var("DELTAIC_MUTANT").ok()).as_deref() == Some(self.name())
    }

    /// None is alive without the feature.
    #[cfg(not(feature = "failpoints"))]
    pub(crate) const fn lives(self) -> bool {
        false
    }
}
