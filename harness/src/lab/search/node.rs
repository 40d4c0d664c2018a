//! The server that things happen to: always at the same port, with the same files, and little room for writes that wait.

use super::super::search_server::{MEMORY, SearchInstalled, SearchKind, SearchServer};
use super::super::server::lasting_port;
use super::reader::Reader;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// One thread for writes, and one that waits: whoever comes then is refused.
const SMALL: &[(&str, &str)] = &[("thread_pool.write.size", "1"), ("thread_pool.write.queue_size", "1")];

pub(super) struct Node {
    pub(super) kind: SearchKind,
    pub(super) reader: Reader,
    installed: SearchInstalled,
    folder: PathBuf,
    port: u16,
    server: Option<SearchServer>,
}

impl Node {
    /// Installs what is missing in `dir`, and starts a node with its files in `folder`.
    pub(super) fn new(kind: SearchKind, dir: &Path, folder: &Path) -> Result<Node> {
        let installed = SearchInstalled::install(dir, &[kind])?;
        let port = lasting_port()?;
        let reader = Reader::at(format!("http://127.0.0.1:{port}"));
        let mut node = Node { kind, reader, installed, folder: folder.to_owned(), port, server: None };
        node.start()?;
        Ok(node)
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn start(&mut self) -> Result<()> {
        self.server = Some(SearchServer::start(self.kind, &self.installed, &self.folder, self.port, MEMORY, SMALL)?);
        Ok(())
    }

    pub(super) fn kill(&mut self) -> Result<()> {
        self.server.take().map_or(Ok(()), SearchServer::kill)
    }

    pub(super) fn stop(&mut self) -> Result<()> {
        self.server.take().map_or(Ok(()), SearchServer::stop)
    }

    pub(super) fn freeze(&self, frozen: bool) -> Result<()> {
        self.server.as_ref().context("a server that runs")?.freeze(frozen)
    }
}
