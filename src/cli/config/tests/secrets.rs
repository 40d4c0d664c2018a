//! Nobody sees the value of a secret, wherever it came from and whatever is wrong with it.

use super::super::print::Effective;
use super::*;

fn with_passphrase(value: &str) -> String {
    format!("{LEAST}passphrase = {value}\n")
}

#[test]
fn a_secret_is_read_and_not_shown() {
    for (text, set) in [
        (with_passphrase("\"${PASSWORD}\""), &[][..]),
        (with_passphrase(&format!("\"{HIDDEN}\"")), &[]),
        (LEAST.to_owned(), &["sink.passphrase=${PASSWORD}"]),
        (LEAST.to_owned(), &["sink.0.passphrase=xyzzy"]),
    ] {
        let settings = settle(&text, set, &[]).unwrap();
        let Value::Secret(secret) = value(&settings, &Home::Sink(0), "passphrase") else { panic!("no secret") };
        assert_eq!(secret.0, HIDDEN);
        let printed = Effective(&settings).to_string();
        assert!(printed.contains("\npassphrase = \"<redacted>\"\n"), "{printed}");
        assert!(!printed.contains(HIDDEN) && !format!("{settings:?}").contains(HIDDEN), "{settings:?}");
    }
}

#[test]
fn what_is_wrong_with_a_secret_is_told_without_it() {
    let wrong = "is wrong (a secret, so it is not shown); expected a text that is not empty";
    let table = [
        ("[\"xyzzy\"]", format!("`sink.0.passphrase` at dir/podium.toml:9 {wrong}")),
        // A name with a dot.
        (
            "{ a = \"xyzzy\" }",
            "unknown key `sink.0.passphrase.a` at dir/podium.toml:9; did you mean `sink.0.passphrase`?".to_owned(),
        ),
        ("\"${EMPTY}\"", format!("`sink.0.passphrase` at dir/podium.toml:9 {wrong}")),
        ("\"xyzzy${\"", "`sink.0.passphrase` at dir/podium.toml:9 has a `${` without its `}`".to_owned()),
        (
            "\"$xyzzy\"",
            "`sink.0.passphrase` at dir/podium.toml:9 has a `$` that begins no ${NAME}; write $$ for a dollar"
                .to_owned(),
        ),
        (
            "\"${xyzzy!}\"",
            "`sink.0.passphrase` at dir/podium.toml:9 has a `${...}` without a variable's name; write ${NAME} or \
             ${NAME:-DEFAULT}"
                .to_owned(),
        ),
    ];
    for (value, expected) in table {
        assert_eq!(mistakes(&with_passphrase(value), &[], &[]), [expected], "{value}");
    }
}

#[test]
fn a_secret_in_the_wrong_place_or_form_is_not_shown_either() {
    for (text, set) in [
        // No TOML.
        (with_passphrase("xyzzy"), &[][..]),
        (with_passphrase("\"xyzzy"), &[]),
        (with_passphrase("'xyzzy\\'x'"), &[]),
        (with_passphrase("\"xyzzy\\q\""), &[]),
        (with_passphrase("\"xyzzy\" xyzzy"), &[]),
        (with_passphrase("\"xyzzy\"\npassphrase = \"xyzzy\""), &[]),
        // A key or a section that there is not.
        (format!("{LEAST}pasword = \"xyzzy\"\n"), &[]),
        (format!("passphrase = \"xyzzy\"\n{LEAST}"), &[]),
        (format!("[sinks]\npassphrase = \"xyzzy\"\n{LEAST}"), &[]),
        (format!("source = \"xyzzy\"\n{}", LEAST.replace("[source]\nkind = \"log\"\nfiles", "#")), &[]),
        // On the command line.
        (LEAST.to_owned(), &["xyzzy"]),
        (LEAST.to_owned(), &["sink.pasword=xyzzy"]),
        (LEAST.to_owned(), &["sink.9.passphrase=xyzzy"]),
        (LEAST.to_owned(), &["sink.passphrase=[\"xyzzy\"", "sink.passphrase"]),
    ] {
        let told = mistakes(&text, set, &[]);
        assert!(!told.is_empty(), "{text} {set:?}");
        assert!(!told.concat().contains(HIDDEN), "{told:?}");
    }
}
