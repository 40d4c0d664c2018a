//! What sonic-rs does not check of the JSON it skips, checked before it sees the bytes.
//!
//! Most of a record is skipped: `before`, half of `source`, columns no view reads, schemas. sonic-rs skips by recursion
//! without a limit, so 10^5 brackets overflow the stack; and it takes any four bytes behind `\u`, even a quote, so that it
//! and every other parser would see different fields behind it. Both need what real records hardly have, so looking for
//! it costs two searches by vector instructions.

use memchr::{memchr_iter, memchr2_iter};

/// How deep values may nest. Far above what Debezium writes, far below what a thread's stack holds.
const DEPTH_MAX: usize = 128;

/// Says why the bytes must not be parsed, if so.
pub(super) fn refuse(json: &[u8]) -> Result<(), &'static str> {
    if !escapes_are_whole(json) {
        return Err("\\u without four hexadecimal digits");
    }
    if too_deep(json) { Err("nested deeper than 128 levels") } else { Ok(()) }
}

/// Whether the bytes nest deeper than a parser that recurses may be given.
pub(crate) fn too_deep(json: &[u8]) -> bool {
    // Only with more brackets than levels is it worth counting.
    memchr2_iter(b'[', b'{', json).nth(DEPTH_MAX).is_some() && !is_flat(json)
}

fn escapes_are_whole(json: &[u8]) -> bool {
    let mut behind = 0;
    for at in memchr_iter(b'\\', json) {
        if at < behind {
            continue;
        }
        behind = at + 2;
        if json.get(at + 1) == Some(&b'u') {
            let Some(digits) = json.get(at + 2..at + 6) else { return false };
            if !digits.iter().all(u8::is_ascii_hexdigit) {
                return false;
            }
        }
    }
    true
}

/// Whether brackets outside of text nest no deeper than allowed. Of what is no JSON it may say either, since the parser
/// stops where that begins.
fn is_flat(json: &[u8]) -> bool {
    let (mut depth, mut text, mut escaped) = (0usize, false, false);
    for &c in json {
        match c {
            _ if escaped => escaped = false,
            b'\\' => escaped = text,
            b'"' => text = !text,
            b'[' | b'{' if !text => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return false;
                }
            }
            b']' | b'}' if !text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_count_outside_of_text_only() {
        let deep = |levels: usize| "[".repeat(levels);
        for (json, expected) in [
            (deep(128), Ok(())),
            (deep(129), Err("nested deeper than 128 levels")),
            (format!("{}{}", deep(127), "[],".repeat(10_000)), Ok(())),
            (format!(r#"{{"text":"\"{}"}}"#, deep(10_000)), Ok(())),
            (format!(r#"{{"text":"\\"{}"#, deep(10_000)), Err("nested deeper than 128 levels")),
        ] {
            assert_eq!(refuse(json.as_bytes()), expected);
        }
    }

    #[test]
    fn an_escaped_letter_has_four_digits() {
        let broken = Err("\\u without four hexadecimal digits");
        for (json, expected) in [
            (r#""\u00e9 \\u \\\u00E9""#, Ok(())),
            (r#""\u00g9""#, broken),
            (r#""\u"123""#, broken),
            (r#""\\\u12""#, broken),
            (r#""\u"#, broken),
            ("\"\\", Ok(())),
        ] {
            assert_eq!(refuse(json.as_bytes()), expected, "{json}");
        }
    }
}
