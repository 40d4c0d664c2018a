//! What the sink is told: where the servers are, who asks, how much goes at once, and what becomes of what cannot be taken.

use std::fmt;
use std::path::PathBuf;

/// Where documents go, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElasticsearchOptions {
    /// The nodes, as `http://HOST:PORT` or `https://HOST:PORT`. One that does not answer is passed over for the next.
    pub urls: Vec<String>,
    /// The alias under which documents are read. They lie in an index that the sink makes: `ALIAS-000001`, and so on.
    pub alias: String,
    /// Who asks.
    pub credentials: Credentials,
    /// Who vouches for the servers, as PEM: those in this file, instead of the well-known ones.
    pub ca_file: Option<PathBuf>,
    /// The client's own certificates and key, as PEM.
    pub client_certificate: Option<ClientCertificate>,
    /// The most documents in a bulk. Default 2,000. Whichever of this and `bulk_bytes_max` is reached first counts.
    pub bulk_documents_max: usize,
    /// The most bytes in a bulk, unless it is one document. Default 5 MiB.
    pub bulk_bytes_max: usize,
    /// How many bulks are on their way at once, no two of them with one document. Default 4.
    pub bulks_in_flight: usize,
    /// How long a bulk that is not full waits for more, in milliseconds. Default 1.
    pub linger_ms: u64,
    /// The most bytes of documents that wait for their answer; then the run waits. Default 64 MiB.
    pub pending_bytes_max: usize,
    /// Whether bulks are compressed by gzip. Default false.
    pub compress: bool,
    /// How long a connection may take, in milliseconds. Default 5,000.
    pub connect_timeout_ms: u64,
    /// How long an answer may take, in milliseconds; what it was asked is then asked again. Default 60,000.
    pub request_timeout_ms: u64,
    /// The first pause before something is tried again, in milliseconds; each further one may be twice as long, and every one
    /// is a random share of that. Default 100.
    pub retry_backoff_ms: u64,
    /// The longest such pause, in milliseconds. Default 10,000.
    pub retry_backoff_max_ms: u64,
    /// How often something is tried again that failed, before the run ends. A server that is busy or blocked (429, 503, a
    /// cluster block) does not count: it is waited for. Default `None`: for ever.
    pub retries_max: Option<u32>,
    /// How long the end of a run waits for answers while none comes, in milliseconds. Default 180,000.
    pub flush_timeout_ms: u64,
    /// How long the server keeps the versions of deleted documents, in milliseconds (`index.gc_deletes` of an index that the
    /// sink makes): longer than any bulk of a run that died may still be on its way. Default an hour.
    pub gc_deletes_ms: u64,
    /// Settings and mappings for an index that the sink makes, as the JSON that a server takes, in place of ours.
    pub definition: Option<serde_json::Value>,
    /// What to do with a document that the server refuses for what is in it.
    pub on_bad_document: OnBadDocument,
}

/// Who asks.
///
/// A program of one's own that logs what the crate `ureq_proto` says at the level `trace` logs every byte that goes to a server,
/// these among them.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody in particular.
    #[default]
    None,
    /// A user with a password.
    Basic {
        /// The name.
        user: String,
        /// Shown to nobody.
        password: String,
    },
    /// An API key, in the form in which it goes into the header: Base64 of `id:key`. Shown to nobody.
    ApiKey(String),
    /// A token. Shown to nobody.
    Bearer(String),
}

/// What a client shows to a server that asks for certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and those that vouch for it.
    pub certificates: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What to do with a document that the server refuses for what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnBadDocument {
    /// End the run with an error that names it.
    #[default]
    Stop,
    /// Append it to a file, as a JSON line with reason, version and document, and go on: the index keeps its last good state.
    DeadLetter(PathBuf),
}

impl ElasticsearchOptions {
    /// Into the index behind `alias` on the server at `url`, all else by default.
    pub fn new(url: impl Into<String>, alias: impl Into<String>) -> ElasticsearchOptions {
        ElasticsearchOptions {
            urls: vec![url.into()],
            alias: alias.into(),
            credentials: Credentials::None,
            ca_file: None,
            client_certificate: None,
            bulk_documents_max: 2_000,
            bulk_bytes_max: 5 << 20,
            bulks_in_flight: 4,
            linger_ms: 1,
            pending_bytes_max: 64 << 20,
            compress: false,
            connect_timeout_ms: 5_000,
            request_timeout_ms: 60_000,
            retry_backoff_ms: 100,
            retry_backoff_max_ms: 10_000,
            retries_max: None,
            flush_timeout_ms: 180_000,
            gc_deletes_ms: 3_600_000,
            definition: None,
            on_bad_document: OnBadDocument::Stop,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credentials::None => f.write_str("None"),
            Credentials::Basic { user, .. } => f.debug_struct("Basic").field("user", user).finish_non_exhaustive(),
            Credentials::ApiKey(_) => f.write_str("ApiKey(..)"),
            Credentials::Bearer(_) => f.write_str("Bearer(..)"),
        }
    }
}
