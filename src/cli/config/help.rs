//! What `deltaic help run` says of the keys, from the table.

use super::definition::{Definition, Fallback, Section};
use super::schema::Schema;
use std::fmt::Write;

/// Fits a terminal of 80 columns, and a manual page on it, which is indented.
const WIDTH: usize = 70;
const INDENT: usize = 6;

const HEAD: &str = "\
The configuration file is TOML. Each key below can be set on the command line too: with its option where it has one, \
else with --set SECTION.KEY=VALUE, as in --set view.zero_items=needs_review_invite; --set sink.path=DIR is the path of \
the only sink, --set sink.0.path=DIR that of the first. An option outranks --set, --set outranks the file, the file \
outranks the default.";

const TAIL: &str = "\
In texts, ${NAME} is the environment variable NAME, ${NAME:-TEXT} is TEXT where it is unset or empty, and $$ is a \
dollar. For a number or a boolean, write it in quotes: workers = \"${WORKERS:-1}\". Relative paths in a file are \
relative to the file's folder, those of --set to the current folder.";

/// The explanation of every key.
pub(crate) fn keys(schema: &Schema) -> String {
    let mut out = String::from("Configuration:\n");
    paragraph(&mut out, HEAD, 2);
    for section in Section::ALL {
        out.push_str(&format!("\n  {}\n", section.heading()));
        if section == Section::Tables {
            paragraph(&mut out, &format!("NAME is a table of the view: {}.", schema.tables.join(", ")), 4);
        }
        for definition in schema.of(section) {
            key(&mut out, definition);
        }
    }
    out.push('\n');
    paragraph(&mut out, TAIL, 2);
    out
}

fn key(out: &mut String, definition: &Definition) {
    let mut notes = vec![definition.kind.to_string()];
    notes.extend(definition.unit.map(|unit| format!("unit: {unit}")));
    notes.push(match definition.fallback {
        Fallback::Required => "required".to_owned(),
        Fallback::Unset(instead) => format!("default: {instead}"),
        Fallback::Is(value) => format!("default: {value}"),
    });
    notes.extend(definition.flag.map(|flag| format!("option: --{flag}")));
    // The heading of properties says what they are for.
    let only = Some(definition.only).filter(|only| !only.is_empty() && definition.section != Section::Kafka);
    let of = if definition.section == Section::Tables { "source.kind" } else { "kind" };
    notes.extend(only.map(|kinds| {
        let quoted: Vec<String> = kinds.iter().map(|kind| format!("\"{kind}\"")).collect();
        format!("only for {of} = {}", quoted.join(" or "))
    }));
    notes.extend(definition.aliases.first().map(|alias| format!("alias: {}", alias.name)));
    notes.extend(definition.secret.then(|| "secret".to_owned()));
    // Writing to a text cannot fail.
    let _ = writeln!(out, "    {}", definition.name);
    paragraph(out, definition.about, INDENT);
    paragraph(out, &format!("[{}]", notes.join("; ")), INDENT);
}

/// Words up to the width, behind an indent.
fn paragraph(out: &mut String, text: &str, indent: usize) {
    let mut width = 0;
    for word in text.split_whitespace() {
        if width > 0 && width + 1 + word.chars().count() <= WIDTH {
            out.push(' ');
            width += 1;
        } else {
            if width > 0 {
                out.push('\n');
            }
            out.extend(std::iter::repeat_n(' ', indent));
            width = indent;
        }
        out.push_str(word);
        width += word.chars().count();
    }
    out.push('\n');
}
