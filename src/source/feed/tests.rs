//! How the feed ends: by the end of the log, by an error, by a thread that fails.

use super::*;
use crate::fuzzing::catalog;
use crate::queue::Bound;
use crate::source::log::{LogInput, LogReader};
use std::io::Write;
use std::time::{Duration, Instant};

const LINE: &[u8] = b"{\"topic\":\"podium.transaction\",\"partition\":0,\"offset\":7,\"payload\":null}\n";

const ROOM: Bound = Bound { items: 8, bytes: 1 << 20 };

fn block() -> Block {
    let bytes_read = LINE.len() as u64;
    Block { lines: LINE.to_vec(), name: "log".into(), first_line: 1, bytes_read, cut: false, all_read: None }
}

/// What arrives at a worker until there is nothing more to wait for.
fn arrivals(inlet: &mut Inlet) -> Vec<String> {
    let (mut seen, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(60));
    loop {
        assert!(Instant::now() < deadline, "it ends: {seen:?}");
        match inlet.poll() {
            Arrival::Chunk(chunk) => seen.push(format!("{} records", chunk.records)),
            Arrival::Nothing => thread::yield_now(),
            Arrival::Failed(error) => return [seen, vec![Error::from(error).to_string()]].concat(),
            Arrival::End => return [seen, vec!["end".to_owned()]].concat(),
            Arrival::Broken(message) => return [seen, vec![format!("broken: {message}")]].concat(),
        }
    }
}

/// A worker's inlet behind one decoder that is sent `pieces`, after which its channel closes.
fn behind_a_decoder(pieces: Vec<Feed<Piece>>) -> Inlet {
    let (channel, receiver) = queue(ROOM);
    let inlet = Inlet { channels: vec![receiver], next: 0, reader: Arc::default(), panic: Panic::default() };
    let outlet = Outlet { channel: Some(channel), reader: Arc::clone(&inlet.reader) };
    let (blocks_in, blocks) = queue(ROOM);
    pieces.into_iter().for_each(|piece| assert!(blocks_in.send(piece).is_ok()));
    drop(blocks_in);
    decode_all(&catalog(), &blocks, &[outlet]);
    inlet
}

#[test]
fn only_an_end_is_the_end() {
    let mut ended = behind_a_decoder(vec![Feed::Part(Piece::Lines(block())), Feed::End]);
    assert_eq!(arrivals(&mut ended), ["1 records", "end"]);
    assert_eq!(arrivals(&mut ended), ["end"], "it stays ended");
    // The reader went without a word.
    let mut silent = behind_a_decoder(vec![Feed::Part(Piece::Lines(block()))]);
    assert_eq!(arrivals(&mut silent), ["1 records", "broken: it ended before the log did"]);
}

#[test]
fn a_panic_is_told_with_its_words_when_the_channel_closes() {
    let (channel, receiver) = queue::<Feed<Chunk>>(ROOM);
    let mut inlet = Inlet { channels: vec![receiver], next: 0, reader: Arc::default(), panic: Panic::default() };
    let panic = Arc::clone(&inlet.panic);
    let work = move || telling(&panic, || assert!(channel.send(Feed::End).is_err(), "number {}", 7));
    thread::spawn(work).join().unwrap();
    // What was sent before the panic arrives first.
    assert_eq!(arrivals(&mut inlet), ["end"]);

    let (channel, receiver) = queue::<Feed<Chunk>>(ROOM);
    inlet.channels.push(receiver);
    drop(channel);
    assert_eq!(arrivals(&mut inlet), ["broken: number 7"]);
}

#[test]
fn every_worker_sees_all_chunks_and_then_the_end() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    (0..50).for_each(|_| file.write_all(LINE).unwrap());
    let inputs = vec![LogInput::File(file.path().to_owned())];
    for (decoders, workers) in [(1, 1), (3, 2), (2, 4)] {
        let log = LogReader { inputs: inputs.clone(), block_bytes: 100, tailing: None };
        let inlets = start(Input::Log(log), &catalog(), decoders, workers).unwrap();
        // Each on a thread of its own, as in a run: no channel holds the whole log.
        let workers: Vec<_> = inlets.into_iter().map(|mut inlet| thread::spawn(move || arrivals(&mut inlet))).collect();
        let seen: Vec<Vec<String>> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
        let records = |seen: &[String]| -> u64 {
            seen.iter().filter_map(|arrival| arrival.strip_suffix(" records")?.parse::<u64>().ok()).sum()
        };
        assert_eq!(records(&seen[0]), 50, "{decoders} decoders");
        for worker in &seen {
            assert_eq!(worker.last().map(String::as_str), Some("end"), "{decoders} decoders");
            assert_eq!(worker.len(), seen[0].len(), "{decoders} decoders: a chunk of each block, and one end");
        }
    }
}

#[test]
fn a_log_that_cannot_be_read_fails_every_worker() {
    let inputs = vec![LogInput::File("/nonexistent/log".into())];
    let log = LogReader { inputs, block_bytes: 100, tailing: None };
    for mut inlet in start(Input::Log(log), &catalog(), 2, 3).unwrap() {
        let seen = arrivals(&mut inlet);
        assert!(seen.len() == 1 && seen[0].starts_with("cannot read /nonexistent/log"), "{seen:?}");
    }
}
