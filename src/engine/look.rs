//! What must be known of an input before any of it is used: its topics, their partitions, and the restarts in it.

use super::{Alignment, EngineOptions, Reads};
use crate::envelope::codecs;
use crate::error::Error;
use crate::source::catalog::Catalog;
use crate::source::kcat::PARTITION_MAX;
use crate::source::log::LogInput;
use crate::source::survey::{Heads, Restarts};
use dataflows::{RowSet, View};
use std::sync::Arc;

/// What is known of a log before it is replayed.
pub(super) struct Known {
    pub(super) prefix: String,
    pub(super) catalog: Catalog,
    /// How many partitions each table's topic has, if that is known.
    pub(super) partitions: Option<Vec<u32>>,
    pub(super) restarts: Restarts,
}

/// Learns of the input what must be known before it is read.
pub(super) fn look<V: View>(view: &V, reads: &Reads, options: &EngineOptions) -> Result<Known, Error> {
    let impossible = |partitions: &u32| *partitions == 0 || *partitions > PARTITION_MAX + 1;
    if let Some((topic, &partitions)) = options.partitions.iter().find(|(_, partitions)| impossible(partitions)) {
        return Err(Error::Partitions { topic: topic.clone(), partitions });
    }
    let (tables, rows) = (view.tables().len(), <V::Tables as RowSet>::LEN);
    if tables != rows {
        return Err(Error::Tables { view: view.name().to_owned(), tables, rows });
    }
    match reads {
        Reads::Source(_) => unseen(view, options, "a source of records", false),
        #[cfg(feature = "kafka")]
        Reads::Kafka(kafka) => {
            let known = unseen(view, options, "Kafka", false)?;
            // There is none until the brokers have said so.
            let partitions = Some(vec![0; known.catalog.codecs.len()]);
            let transactions = kafka.transaction_topic.as_deref().filter(|_| known.catalog.is_aligned());
            let catalog = known.catalog.renamed(&kafka.topics, transactions);
            Ok(Known { catalog, partitions, ..known })
        }
        Reads::Log(log) if log.follow => unseen(view, options, "a log that is followed", true),
        Reads::Log(log) if log.inputs.contains(&LogInput::Stdin) => unseen(view, options, "standard input", false),
        Reads::Log(log) => looked_at(view, &log.inputs, options),
    }
}

/// What is known of an input that can be read only once: what was said of it.
fn unseen<V: View>(view: &V, options: &EngineOptions, what: &str, endless: bool) -> Result<Known, Error> {
    let prefix = options
        .prefix
        .as_deref()
        .ok_or_else(|| Error::Prefix { found: format!("{what} cannot be searched for its source") })?;
    let catalog = catalog(prefix, view, options);
    let topics: Vec<&str> = (0..catalog.codecs.len()).map(|table| catalog.topic_name(table as u16)).collect();
    let (known, unknown): (Vec<&str>, Vec<&str>) =
        topics.iter().partition(|topic| options.partitions.contains_key(**topic));
    // Who names all topics of a source names others too; who leaves one out has mistaken its name.
    let mut others = options.partitions.iter().filter(|(topic, _)| !known.contains(&topic.as_str()));
    if let Some((topic, &partitions)) = others.next().filter(|_| !unknown.is_empty()) {
        return Err(Error::UnknownTopic { topic: topic.clone(), partitions, missing: unknown.join(", ") });
    }
    if endless && !unknown.is_empty() && catalog.is_aligned() {
        return Err(Error::FollowPartitions { topics: unknown.join(", ") });
    }
    let partitions = unknown.is_empty().then(|| given(&catalog, options, |_| 0));
    Ok(Known { prefix: prefix.to_owned(), catalog, partitions, restarts: Restarts::Unknown })
}

/// How many partitions the topics of the tables have, by what was said or `found`.
fn given(catalog: &Catalog, options: &EngineOptions, found: impl Fn(&str) -> u32) -> Vec<u32> {
    let of = |table: usize| {
        let topic = catalog.topic_name(table as u16);
        options.partitions.get(topic).copied().unwrap_or_default().max(found(topic))
    };
    (0..catalog.codecs.len()).map(of).collect()
}

/// What files show.
fn looked_at<V: View>(view: &V, inputs: &[LogInput], options: &EngineOptions) -> Result<Known, Error> {
    let heads = Heads::read(inputs).map_err(Arc::new)?;
    let prefix = match &options.prefix {
        Some(prefix) => prefix.clone(),
        None => only_prefix(&heads)?,
    };
    let catalog = catalog(&prefix, view, options);
    let partitions = given(&catalog, options, |topic| heads.partitions(topic));
    if !catalog.is_aligned() {
        return Ok(Known { prefix, catalog, partitions: Some(partitions), restarts: Restarts::Unknown });
    }
    let transactions = catalog.topic_name(Catalog::TRANSACTIONS).to_owned();
    if !heads.has(&transactions) {
        return Err(Error::NoTransactionTopic { topic: transactions });
    }
    let count = heads.partitions(&transactions);
    if count != 1 {
        return Err(Error::TransactionPartitions { topic: transactions, partitions: count });
    }
    let restarts = heads.restarts(inputs).map_err(Arc::new)?;
    Ok(Known { prefix, catalog, partitions: Some(partitions), restarts })
}

/// The topics of the tables of `view`, and of transactions if rows are to belong to some.
fn catalog<V: View>(prefix: &str, view: &V, options: &EngineOptions) -> Catalog {
    let catalog = Catalog::new(prefix, codecs(view));
    match options.alignment {
        Alignment::Transactions => catalog,
        Alignment::None => catalog.unaligned(),
    }
}

fn only_prefix(heads: &Heads) -> Result<String, Error> {
    let mut prefixes = heads.prefixes();
    match (prefixes.pop(), prefixes.is_empty()) {
        (Some(prefix), true) => Ok(prefix),
        (Some(last), false) => {
            Err(Error::Prefix { found: format!("the log holds several sources: {}, {last}", prefixes.join(", ")) })
        }
        (None, _) => Err(Error::Prefix {
            found: "the log has no transaction topic (set provide.transaction.metadata=true in the connector)"
                .to_owned(),
        }),
    }
}
