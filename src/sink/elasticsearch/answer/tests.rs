//! Answers that real servers gave, as `harness responses` recorded them, and what they mean.

use super::*;
use dataflows::DocumentId;
use std::collections::BTreeMap;

const SERVERS: [&str; 4] = ["opensearch-2.19", "opensearch-3.8", "elasticsearch-8.19", "elasticsearch-9.5"];

/// The answers of a server, by their cases.
fn recorded(server: &str) -> BTreeMap<String, Response> {
    #[derive(Deserialize)]
    struct Recorded {
        case: String,
        status: u16,
        body: String,
    }
    let path = format!("{}/tests/responses/{server}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.map(|Recorded { case, status, body }| (case, Response { status, body: body.into_bytes() })).collect()
}

fn operation(id: &str, deletes: bool) -> Operation {
    Operation { id: DocumentId(id.into()), time: 7, deletes, lines: 0..0 }
}

/// What was asked, as far as the answer tells; one document where it tells nothing.
fn asked(response: &Response) -> Vec<Operation> {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(&response.body) else {
        return vec![operation("1", false)];
    };
    let Some(items) = value.get("items").and_then(serde_json::Value::as_array) else {
        return vec![operation("1", false)];
    };
    let asked = items.iter().map(|item| {
        let (action, outcome) = item.as_object().unwrap().iter().next().unwrap();
        operation(outcome["_id"].as_str().unwrap_or_default(), action == "delete")
    });
    asked.collect()
}

/// One word for what an answer means.
fn word(item: &Item) -> &'static str {
    match item {
        Item::Done => "done",
        Item::Newer => "newer",
        Item::Again(Again { busy: true, .. }) => "busy",
        Item::Again(_) => "again",
        Item::Bad(_) => "bad",
        Item::Refused(Refusal::Forbidden { .. }) => "forbidden",
        Item::Refused(Refusal::Gone(_)) => "gone",
        Item::Refused(Refusal::Other { .. }) => "other",
    }
}

fn words_of(whole: &Whole) -> String {
    match whole {
        Whole::Done => "DONE".to_owned(),
        Whole::Failures => "FAILURES".to_owned(),
        Whole::Items(items) => items.iter().map(word).collect::<Vec<_>>().join(" "),
        Whole::TooLarge(_) => "TOO LARGE".to_owned(),
        Whole::Malformed(_) => "MALFORMED".to_owned(),
        Whole::Again(Again { busy: true, .. }) => "BUSY".to_owned(),
        Whole::Again(_) => "AGAIN".to_owned(),
        Whole::Refused(Refusal::Gone(_)) => "GONE".to_owned(),
        Whole::Refused(Refusal::Forbidden { .. }) => "FORBIDDEN".to_owned(),
        Whole::Refused(Refusal::Other { .. }) => "OTHER".to_owned(),
    }
}

#[test]
fn what_real_servers_answer_to_a_bulk() {
    for server in SERVERS {
        let recorded = recorded(server);
        for (case, expected) in [
            ("bulk_create", "done done"),
            ("bulk_update", "done"),
            ("bulk_same_version_again", "done"),
            ("bulk_lower_version", "newer"),
            ("bulk_delete", "done"),
            ("bulk_delete_again_same_version", "done"),
            ("bulk_delete_lower_version", "newer"),
            ("bulk_delete_missing", "done"),
            ("bulk_index_below_a_tombstone", "newer"),
            ("bulk_gzip", "done"),
            ("bulk_strict_violation_between_good", "done bad done"),
            ("bulk_number_malformed", "bad"),
            ("bulk_object_in_a_keyword", "bad"),
            ("bulk_keyword_too_long", "bad"),
            ("bulk_id_empty", "bad"),
            ("bulk_missing_index", "gone gone"),
            ("bulk_id_too_long", "MALFORMED"),
            ("bulk_refused_no_newline", "MALFORMED"),
            ("bulk_refused_unknown_action", "MALFORMED"),
            ("bulk_refused_version_negative", "MALFORMED"),
            ("bulk_refused_version_without_id", "MALFORMED"),
            ("bulk_refused_update_with_version", "MALFORMED"),
            ("bulk_refused_media_type", "OTHER"),
            ("blocked_write_bulk", "busy busy"),
            ("blocked_read_only_allow_delete_bulk", "busy busy"),
            ("blocked_read_only_bulk", "busy"),
            ("blocked_cluster_read_only_bulk", "BUSY"),
            ("closed_bulk", "gone gone"),
            ("unassigned_bulk", "busy"),
            ("memory_bulk_too_large_for_it", "BUSY"),
            ("bulk_after_index_delete", "gone"),
            ("restarted_tombstone_is_gone", "done"),
            ("restarted_live_version_stays", "newer"),
            ("too_large_bulk", "TOO LARGE"),
            ("too_large_bulk_gzip_inflates", "TOO LARGE"),
        ] {
            let response = &recorded[case];
            assert_eq!(words_of(&bulk(response, &asked(response), Detail::Each)), expected, "{case} of {server}");
        }
        // Elasticsearch 9.5 applied it.
        let breaker = &recorded["breaker_bulk"];
        let expected = if server == "elasticsearch-9.5" { "done" } else { "BUSY" };
        assert_eq!(words_of(&bulk(breaker, &asked(breaker), Detail::Each)), expected, "{server}");
        let overloaded = &recorded["overload_bulk_some_items_refused"];
        let words = words_of(&bulk(overloaded, &asked(overloaded), Detail::Each));
        assert!(words.contains("busy") && words.contains("done"), "{server}: {words}");
        assert!(!words.replace("busy", "").replace("done", "").contains(char::is_alphabetic), "{server}: {words}");
    }
}

#[test]
fn what_real_servers_answer_when_they_are_asked_whether_anything_failed() {
    for server in SERVERS {
        let recorded = recorded(server);
        let mut of_both = BTreeMap::new();
        for (case, response) in recorded.iter().filter(|(case, _)| case.contains("bulk")) {
            let each = words_of(&bulk(response, &asked(response), Detail::Each));
            // What is told by document, and not of an action that is never sent.
            if response.status != 200 || each == "AGAIN" {
                continue;
            }
            let failed = each.split(' ').any(|word| word != "done");
            let expected = if failed { "FAILURES" } else { "DONE" };
            assert_eq!(words_of(&bulk(response, &asked(response), Detail::Whether)), expected, "{case} of {server}");
            *of_both.entry(expected).or_insert(0) += 1;
        }
        assert!(of_both["DONE"] > 10 && of_both["FAILURES"] > 10, "{server}: {of_both:?}");
        for (case, expected) in [
            ("bulk_whether_none_failed", "DONE"),
            ("bulk_whether_some_failed", "FAILURES"),
            ("bulk_whether_refused", "MALFORMED"),
        ] {
            let response = &recorded[case];
            assert_eq!(words_of(&bulk(response, &[], Detail::Whether)), expected, "{case} of {server}");
        }
        let whole = &recorded["bulk_whether_none_failed"].body;
        for body in [&whole[..whole.len() - 1], b"", b"{}", b"<html>", br#"{"items":[]}"#, br#"{"errors":null}"#] {
            let response = Response { status: 200, body: body.to_vec() };
            let said = String::from_utf8_lossy(body);
            assert_eq!(words_of(&bulk(&response, &[], Detail::Whether)), "AGAIN", "{said} instead of {server}'s");
        }
    }
}

#[test]
fn an_answer_of_something_else_says_nothing() {
    for server in SERVERS {
        let response = &recorded(server)["bulk_create"];
        let asked = asked(response);
        let again = |response: &Response, operations: &[Operation]| {
            words_of(&bulk(response, operations, Detail::Each)) == "AGAIN"
        };
        let half = Response { status: 200, body: response.body[..response.body.len() / 2].to_vec() };
        assert!(again(&half, &asked), "half of it");
        assert!(again(response, &asked[1..]), "of fewer documents");
        let others = [operation("other", false), operation("2", false)];
        assert!(again(response, &others), "of other documents");
        assert!(again(response, &[operation("1", true), operation("2", false)]), "of something else with them");
        assert!(again(&Response { status: 200, body: b"<html>".to_vec() }, &asked), "of somebody in between");
    }
}

#[test]
fn what_is_said_names_what_to_do() {
    for server in SERVERS {
        let recorded = recorded(server);
        let reason = |case: &str| match bulk(&recorded[case], &asked(&recorded[case]), Detail::Each) {
            Whole::Items(items) => match items.into_iter().find(|item| !matches!(item, Item::Done)) {
                Some(Item::Again(again)) => again.reason,
                Some(Item::Bad(reason)) => reason,
                other => panic!("{case}: {other:?}"),
            },
            Whole::Again(again) => again.reason,
            other => panic!("{case}: {other:?}"),
        };
        assert!(reason("blocked_read_only_allow_delete_bulk").ends_with("; make room on the server's disk"));
        assert!(reason("blocked_write_bulk").ends_with("; lift the block, as `index.blocks.write`"));
        assert!(reason("bulk_strict_violation_between_good").starts_with("strict_dynamic_mapping_exception: "));
        assert!(reason("bulk_number_malformed").contains("caused") || reason("bulk_number_malformed").contains(" ("));
    }
}

#[test]
fn what_is_no_server_s_answer_is_told_by_its_status() {
    let of = |status: u16, body: &str| {
        let response = Response { status, body: body.as_bytes().to_vec() };
        let each = words_of(&bulk(&response, &[operation("1", false)], Detail::Each));
        assert_eq!(words_of(&bulk(&response, &[operation("1", false)], Detail::Whether)), each, "{status}");
        each
    };
    for (status, expected) in [
        (302, "OTHER"),
        (400, "OTHER"),
        (401, "FORBIDDEN"),
        (403, "FORBIDDEN"),
        (404, "OTHER"),
        (408, "AGAIN"),
        (413, "TOO LARGE"),
        (429, "BUSY"),
        (500, "AGAIN"),
        (502, "AGAIN"),
        (503, "BUSY"),
        (504, "AGAIN"),
    ] {
        assert_eq!(of(status, "<html>"), expected, "{status}");
    }
    let forbidden = r#"{"error":{"type":"security_exception","reason":"action [indices:data/write/bulk] is unauthorized"},"status":403}"#;
    assert_eq!(of(403, forbidden), "FORBIDDEN");
    assert_eq!(
        of(404, r#"{"error":{"type":"index_not_found_exception","reason":"no such index"},"status":404}"#),
        "GONE"
    );
}
