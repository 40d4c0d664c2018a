//! What an output is of: a durable one remembers it, and is never continued by a run of something else.

use dataflows::{Schema, View};
use serde::{Deserialize, Serialize};
use std::fmt;
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

/// An identity as an index keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptIdentity {
    pub(crate) view: String,
    pub(crate) options: Vec<(String, String)>,
    /// Each as `name: kind`.
    pub(crate) fields: Vec<String>,
    pub(crate) prefix: String,
}

impl KeptIdentity {
    pub(crate) fn of(identity: &Identity) -> KeptIdentity {
        let fields = identity.schema.fields.iter();
        KeptIdentity {
            view: identity.view.clone(),
            options: identity.options.clone(),
            fields: fields.map(|field| format!("{}: {:?}", field.name, field.kind).to_lowercase()).collect(),
            prefix: identity.prefix.clone(),
        }
    }

    /// In what a run differs from it: the fields only where nothing else does, since they follow from the rest.
    pub(crate) fn differences(&self, identity: &Identity) -> Vec<Difference> {
        let run = KeptIdentity::of(identity);
        let mut differences = Vec::new();
        let mut compare = |what: String, index: &str, run: &str| {
            if index != run {
                differences.push(Difference { what, index: index.to_owned(), run: run.to_owned() });
            }
        };
        compare("the view".to_owned(), &self.view, &run.view);
        compare("the source's prefix".to_owned(), &self.prefix, &run.prefix);
        let value = |options: &[(String, String)], name: &str| {
            options.iter().find(|(option, _)| option == name).map_or(String::new(), |(_, value)| value.clone())
        };
        let mut names: Vec<&String> = self.options.iter().chain(&run.options).map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        for name in names {
            compare(format!("the option {name}"), &value(&self.options, name), &value(&run.options, name));
        }
        if differences.is_empty() && self.fields != run.fields {
            let what = "the list of fields".to_owned();
            differences.push(Difference { what, index: self.fields.join(", "), run: run.fields.join(", ") });
        }
        differences
    }
}

/// In what an index and a run differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The view, an option, the fields or the source.
    pub what: String,
    /// What the index has.
    pub index: String,
    /// What the run has.
    pub run: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |text: &str| if text.is_empty() { "none".to_owned() } else { format!("`{text}`") };
        write!(f, "{} is {} in the index and {} in this run", self.what, said(&self.index), said(&self.run))
    }
}
