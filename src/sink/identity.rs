//! What an output is of: a durable one remembers it, and is never continued by a run of something else.

use dataflows::{Schema, View};
use std::sync::Arc;

/// The view, its options and the source of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The view's name.
    pub view: String,
    /// Everything else that decides what documents there are, as `(option, value)`.
    pub options: Vec<(String, String)>,
    /// The documents' fields.
    pub schema: Arc<Schema>,
    /// The topic prefix of the source.
    pub prefix: String,
}

impl Identity {
    /// The option of a run that shows each row by itself.
    pub const UNALIGNED: &str = "unaligned";

    /// Whether every state is that of one commit. Where it is not, a second run may show other states than the first: what it
    /// fills is filled anew, and never continued.
    pub fn is_aligned(&self) -> bool {
        Identity::aligned(&self.options)
    }

    /// The same of the options alone, as an index keeps them.
    pub(crate) fn aligned(options: &[(String, String)]) -> bool {
        !options.iter().any(|(option, _)| option == Identity::UNALIGNED)
    }

    /// The identity of a run of `view` over the source called `prefix`.
    pub fn new(view: &impl View, prefix: &str) -> Identity {
        Identity {
            view: view.name().to_owned(),
            options: view.options().into_iter().map(|(option, value)| (option.to_owned(), value)).collect(),
            schema: Arc::new(view.schema()),
            prefix: prefix.to_owned(),
        }
    }
}
