//! An index that was filled beside another takes the alias from it, in one step.
//!
//! Before that, the progress document of the other is written once more: whoever still writes to it then notices, and does not go on
//! with an index that nobody reads.

use super::error::ElasticsearchError;
use super::progress::{Found, Progress};
use super::server::Server;
use super::{ElasticsearchSink, index};
use crate::sink::{KeptIdentity, SinkError, Successor};
use crate::time::{Lsn, Time};
use tracing::info;

/// Deletes what rebuilds have left that were broken off: indexes behind the one that the alias is on, with a progress document.
pub(super) fn clear(server: &Server) -> Result<(), ElasticsearchError> {
    let on = index::on_alias(server)?;
    let generations = index::generations(server)?;
    let current = generations.iter().filter(|(_, name)| on.contains(name)).map(|(number, _)| *number).max();
    for (_, name) in generations.iter().filter(|(number, _)| current.is_none_or(|current| *number > current)) {
        if let Found::Progress(progress, _) = Progress::find(server, name)?
            && progress.beside
        {
            info!(index = name, "what a rebuild has left that was broken off is deleted");
            index::delete(server, name)?;
        }
    }
    Ok(())
}

impl Successor for ElasticsearchSink {
    fn take_place(&mut self) -> Result<(), SinkError> {
        let Some(opened) = &self.opened else { return Ok(()) };
        let (server, filled) = (self.server.starting(), opened.index.name.clone());
        let durable = self.outbox.as_ref().map_or(0, |outbox| outbox.lock().durable);
        let on = index::on_alias(&server)?;
        for kept in on.iter().filter(|kept| **kept != filled) {
            fence(&server, kept, &opened.progress.of, durable)?;
        }
        // Who searches must not find it empty.
        index::refresh(&server, &filled)?;
        index::move_alias(&server, &on, &filled)?;
        self.beside = false;
        Ok(())
    }

    fn may_be_left(error: &SinkError) -> bool {
        use ElasticsearchError::{BadDocument, Gone, Identity, Mapping, NotDurable, OtherBeginning, Rebuild};
        matches!(
            error,
            SinkError::Elasticsearch(
                Rebuild { .. }
                    | Identity { .. }
                    | OtherBeginning { .. }
                    | Mapping { .. }
                    | NotDurable { .. }
                    | Gone { .. }
                    | BadDocument { .. }
            )
        )
    }
}

/// Keeps others from writing to an index that will not be read. One of the same source must not be ahead.
fn fence(server: &Server, index: &str, of: &KeptIdentity, durable: Time) -> Result<(), SinkError> {
    let (progress, at) = match Progress::find(server, index) {
        Ok(Found::Progress(progress, at)) => (progress, at),
        // Nobody writes to it as it is.
        Ok(_) | Err(ElasticsearchError::Gone { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if progress.of == *of && progress.durable > durable {
        let lsn = |upper: Time| upper.checked_sub(1).map(Lsn::of_time);
        return Err(SinkError::Behind { kept: lsn(progress.durable), filled: lsn(durable) });
    }
    let writer = "another index has taken its place".to_owned();
    Progress { writer, turn: progress.turn + 1, ..*progress }.write(server, index, Some(at))?;
    Ok(())
}
