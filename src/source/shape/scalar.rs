//! Finds the end of one JSON scalar, bare or inside of text, eight bytes at a time.
//!
//! ```text
//!   bare      "caf\u00e9 \"x\"",        12.50,   null
//!   quoted  \"caf\\u00e9 \\\"x\\\"\",   12.50,   null      the same, as it stands inside of text
//! ```
//!
//! It accepts less than JSON allows, and nothing that JSON does not allow: numbers without exponent and of reasonable
//! length, and inside of text no other escape than those of quote and backslash. Whoever is refused asks a real parser.

/// The digits of the longest number that is accepted.
const NUMBER_MAX: usize = 40;

/// What a scalar is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text without escapes.
    Text,
    /// Text with escapes.
    Escaped,
    /// A number.
    Number,
    /// `true`, `false` or `null`.
    Word,
}

/// A scalar at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scalar {
    pub(crate) kind: Kind,
    /// Where it starts, of text behind its quote.
    pub(crate) start: usize,
    /// Where it ends, of text before its quote.
    pub(crate) end: usize,
    /// How many bytes it is in all.
    pub(crate) length: usize,
}

/// Finds the scalar that `text` starts with. `QUOTED` says that it stands inside of text itself.
pub(crate) fn scan<const QUOTED: bool>(text: &[u8]) -> Option<Scalar> {
    match text {
        [b'\\', b'"', inside @ ..] if QUOTED => string::<true>(inside, 2),
        [b'"', inside @ ..] if !QUOTED => string::<false>(inside, 1),
        [b'-' | b'0'..=b'9', ..] => whole(Kind::Number, number(text)?),
        _ => {
            let word: &[u8] = match text.first()? {
                b'n' => b"null",
                b't' => b"true",
                _ => b"false",
            };
            text.starts_with(word).then(|| whole(Kind::Word, word.len()))?
        }
    }
}

fn whole(kind: Kind, length: usize) -> Option<Scalar> {
    Some(Scalar { kind, start: 0, end: length, length })
}

/// Text of which the opening quote is so many bytes.
fn string<const QUOTED: bool>(inside: &[u8], quote: usize) -> Option<Scalar> {
    let (mut at, mut kind, mut ascii) = (0, Kind::Text, true);
    loop {
        let rest = inside.get(at..)?;
        let (plain, plain_ascii) = plain(rest);
        ascii &= plain_ascii;
        at += plain;
        let escape = match (QUOTED, rest.get(plain..)?) {
            (true, [b'\\', b'"', ..]) | (false, [b'"', ..]) => break,
            (true, [b'\\', b'\\', escape @ ..]) => 2 + escaped::<true>(escape)?,
            (false, [b'\\', escape @ ..]) => 1 + escaped::<false>(escape)?,
            _ => return None,
        };
        kind = Kind::Escaped;
        at += escape;
    }
    if !ascii {
        std::str::from_utf8(inside.get(..at)?).ok()?;
    }
    Some(Scalar { kind, start: quote, end: quote + at, length: at + 2 * quote })
}

/// How long is what stands behind the backslash of an escape.
fn escaped<const QUOTED: bool>(behind: &[u8]) -> Option<usize> {
    match behind {
        [b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(1),
        [b'u', digits @ ..] => digits.get(..4)?.iter().all(u8::is_ascii_hexdigit).then_some(5),
        [b'\\', b'"' | b'\\', ..] if QUOTED => Some(2),
        [b'"' | b'\\', ..] if !QUOTED => Some(1),
        _ => None,
    }
}

/// How many bytes there are before the first quote, backslash or control character, and whether all are ASCII.
fn plain(text: &[u8]) -> (usize, bool) {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    const QUOTES: u64 = ONES * b'"' as u64;
    const BACKSLASHES: u64 = ONES * b'\\' as u64;
    // The lowest bit that is set is right: only those above it may be carried from it.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (mut at, mut high) = (0, 0);
    let (words, rest) = text.as_chunks::<8>();
    for bytes in words {
        let word = u64::from_le_bytes(*bytes);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = control | zero(word ^ QUOTES) | zero(word ^ BACKSLASHES);
        if found != 0 {
            let bits = found.trailing_zeros() & !7;
            high |= word & HIGH & !(u64::MAX << bits);
            return (at + bits as usize / 8, high == 0);
        }
        high |= word & HIGH;
        at += 8;
    }
    for &byte in rest {
        if byte < 0x20 || byte == b'"' || byte == b'\\' {
            break;
        }
        high |= u64::from(byte) & HIGH;
        at += 1;
    }
    (at, high == 0)
}

/// The length of a number: a sign, digits without a needless zero before them, perhaps a fraction.
fn number(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text.get(from..).unwrap_or_default().iter().take_while(|c| c.is_ascii_digit()).count();
    let sign = usize::from(text.first() == Some(&b'-'));
    let count = digits(sign);
    let mut length = sign + count;
    if count == 0 || (count > 1 && text.get(sign) == Some(&b'0')) {
        return None;
    }
    if text.get(length) == Some(&b'.') {
        let fraction = digits(length + 1);
        if fraction == 0 {
            return None;
        }
        length += 1 + fraction;
    }
    let goes_on = matches!(text.get(length), Some(b'e' | b'E' | b'.' | b'+' | b'-'));
    (!goes_on && length <= NUMBER_MAX).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the scalar is, and how much of the bytes it takes.
    fn bare(text: &str) -> Option<(Kind, &str)> {
        scan::<false>(text.as_bytes()).map(|found| (found.kind, &text[..found.length]))
    }

    /// The same of `text` as it stands inside of text.
    fn quoted(text: &str) -> Option<(Kind, String)> {
        let inside = text.replace('\\', "\\\\").replace('"', "\\\"");
        let found = scan::<true>(inside.as_bytes())?;
        Some((found.kind, inside[..found.length].replace("\\\"", "\"").replace("\\\\", "\\")))
    }

    #[test]
    fn a_scalar_is_found_up_to_its_end() {
        for (text, expected) in [
            (r#""","#, Some((Kind::Text, r#""""#))),
            (r#""a b","c""#, Some((Kind::Text, r#""a b""#))),
            (r#""0123456789abcdef é 東京","#, Some((Kind::Text, r#""0123456789abcdef é 東京""#))),
            (r#""a\"b\\","c""#, Some((Kind::Escaped, r#""a\"b\\""#))),
            (r#""\u00e9\ud83d\n\/","#, Some((Kind::Escaped, r#""\u00e9\ud83d\n\/""#))),
            ("0,", Some((Kind::Number, "0"))),
            ("-12.50}", Some((Kind::Number, "-12.50"))),
            ("18446744073709551616]", Some((Kind::Number, "18446744073709551616"))),
            ("null,", Some((Kind::Word, "null"))),
            ("true}", Some((Kind::Word, "true"))),
            ("false", Some((Kind::Word, "false"))),
            ("", None),
            ("nul", None),
            ("NaN", None),
            ("[]", None),
            ("{}", None),
            ("-", None),
            ("01", None),
            ("1.", None),
            ("1e3", None),
            ("1.5E3", None),
            ("1.2.3", None),
            (r#""open"#, None),
            (r#""\x""#, None),
            (r#""\u00g9""#, None),
            (r#""\u00""#, None),
            ("\"a\tb\"", None),
            ("\"a\u{0}0123456789\"", None),
        ] {
            assert_eq!(bare(text), expected, "{text}");
            assert_eq!(quoted(text), expected.map(|(kind, found)| (kind, found.to_owned())), "{text}, inside of text");
        }
        assert_eq!(bare(&"9".repeat(NUMBER_MAX)).map(|found| found.1.len()), Some(NUMBER_MAX));
        assert_eq!(bare(&"9".repeat(NUMBER_MAX + 1)), None);
    }

    #[test]
    fn inside_of_text_nothing_but_quote_and_backslash_is_escaped() {
        for text in
            [r#"\"a\nb\""#, r#"\"a\u0041\""#, r#"\"a\/b\""#, r#"\"a"b\""#, r#"\"a\\\nb\""#, r#""a""#, r#"\"a\\"#]
        {
            assert_eq!(scan::<true>(text.as_bytes()), None, "{text}");
        }
        assert_eq!(scan::<false>(b"\"a\xff\""), None);
        assert_eq!(scan::<true>(b"\\\"0123456789\xc3\\\""), None);
    }

    proptest! {
        /// GIVEN any scalar and any bytes behind it, WHEN it is accepted, THEN serde_json reads it as the same.
        #[test]
        fn what_is_accepted_is_json(text in "(\"([ -~é東]|\\\\[ -~]|\\\\u[0-9a-gD]{4}|[\\x00-\\x20])*\"|-?[0-9.eE+]{0,6}|null|true|fals.)[,}\\] ]?") {
            let Some((kind, found)) = bare(&text) else { return Ok(()) };
            let json: Result<serde_json::Value, _> = serde_json::from_str(found);
            match (kind, json) {
                (Kind::Text, Ok(json)) => prop_assert_eq!(json.as_str(), Some(&found[1..found.len() - 1])),
                (Kind::Escaped, Ok(json)) => prop_assert!(json.is_string()),
                (Kind::Number, Ok(json)) => prop_assert!(json.is_number()),
                (Kind::Word, Ok(json)) => prop_assert!(json.is_null() || json.is_boolean()),
                // A surrogate that stands alone: who wants the text is told it has escapes.
                (Kind::Escaped, Err(error)) => prop_assert!(error.to_string().contains("surrogate") || error.to_string().contains("end of hex escape"), "{}", error),
                (_, Err(error)) => prop_assert!(false, "{}: {}", found, error),
            }
            prop_assert_eq!(quoted(&text), Some((kind, found.to_owned())));
        }

        /// GIVEN any bytes, WHEN they are searched eight at a time, THEN the first that ends a text is found.
        #[test]
        fn the_first_that_is_not_plain_is_found(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let first = text.iter().position(|c| *c < 0x20 || *c == b'"' || *c == b'\\').unwrap_or(text.len());
            prop_assert_eq!(plain(&text), (first, text[..first].is_ascii()));
        }
    }
}
