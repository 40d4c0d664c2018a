//! A small HTTP/1.1 server: a thread for each connection, over TLS if it is given certificates. It answers as a script says, also
//! with half an answer, or none.

use flate2::read::GzDecoder;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

/// What was asked.
pub struct Request {
    pub method: String,
    /// Without what is behind the question mark.
    pub path: String,
    pub query: BTreeMap<String, String>,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// What goes over the connection.
pub enum Answer {
    Whole {
        status: u16,
        body: Vec<u8>,
    },
    /// The beginning of it; then the connection is closed.
    Half {
        status: u16,
        body: Vec<u8>,
    },
    /// The connection is closed.
    Nothing,
}

/// Listens until it is dropped.
pub struct HttpServer {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    scheme: &'static str,
}

trait Duplex: Read + Write {}
impl<T: Read + Write> Duplex for T {}

impl HttpServer {
    pub fn start(
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(Request) -> Answer + Send + Sync + 'static,
    ) -> HttpServer {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let (ended, answer) = (Arc::clone(&over), Arc::new(answer));
        let scheme = if tls.is_some() { "https" } else { "http" };
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(SeqCst) {
                    return;
                }
                let (tls, answer, ended) = (tls.clone(), Arc::clone(&answer), Arc::clone(&ended));
                thread::spawn(move || {
                    let stream = stream.unwrap();
                    stream.set_nodelay(true).unwrap();
                    match tls {
                        None => serve(stream, &*answer, &ended),
                        Some(tls) => {
                            serve(StreamOwned::new(ServerConnection::new(tls).unwrap(), stream), &*answer, &ended);
                        }
                    }
                });
            }
        });
        HttpServer { address, over, scheme }
    }

    pub fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.address.port())
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
        // Wakes the listener.
        let _closed = TcpStream::connect(self.address);
    }
}

/// Answers what comes over one connection until it is closed.
fn serve(stream: impl Read + Write + 'static, answer: &dyn Fn(Request) -> Answer, over: &AtomicBool) {
    let mut stream = BufReader::new(Box::new(stream) as Box<dyn Duplex>);
    while let Some(request) = read(&mut stream) {
        let (status, body, sent) = match answer(request) {
            Answer::Whole { status, body } => (status, body.clone(), body.len()),
            Answer::Half { status, body } => (status, body.clone(), body.len() / 2),
            Answer::Nothing => return,
        };
        let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\r\n", body.len());
        let whole = [head.as_bytes(), &body[..sent]].concat();
        if stream.get_mut().write_all(&whole).and_then(|()| stream.get_mut().flush()).is_err() {
            return;
        }
        if sent < body.len() || over.load(SeqCst) {
            return;
        }
    }
}

/// The next request; `None` when there is none.
fn read(stream: &mut BufReader<Box<dyn Duplex>>) -> Option<Request> {
    let mut line = || {
        let mut line = String::new();
        let read = stream.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let header = line()?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    if headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
        let mut unpacked = Vec::new();
        GzDecoder::new(&body[..]).read_to_end(&mut unpacked).unwrap();
        body = unpacked;
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Some(Request { method, path: path.to_owned(), query, headers, body })
}
