//! What a fuzzer and a test call: any text as a configuration file. It has a meaning, or mistakes that say what they are;
//! and what it means, printed, is a configuration that means the same.

use super::meaning::Config;
use super::print::Effective;
use super::settings::Settings;
use super::variables::Outside;
use super::{Flags, schema, settle};
use std::io::ErrorKind;
use std::path::Path;

/// The secret that a file may name, and that is never told.
const SECRET: &str = "xyzzy";

/// Takes the bytes for a file, and says whether they have a meaning.
pub(crate) fn file(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let settled = |text: &str| -> Result<Settings, String> {
        let outside = Outside {
            environment: &|name| (name == "DIR").then(|| "data".into()),
            files: &|path| {
                if path.ends_with("secret") { Ok(format!("{SECRET}\n")) } else { Err(ErrorKind::NotFound.into()) }
            },
        };
        let settled = settle(schema(), Path::new("dir/fuzz.toml"), text, &[], &Flags::default(), outside);
        settled.map_err(|mistakes| mistakes.to_string())
    };
    match settled(text) {
        Ok(settings) => {
            let printed = Effective(&settings).to_string();
            assert!(text.contains(SECRET) || !printed.contains(SECRET), "{printed}");
            let again = settled(&printed).unwrap_or_else(|mistakes| panic!("{printed}\n{mistakes}"));
            assert_eq!(Effective(&again).to_string(), printed, "it is printed as it was");
            let (plan, same) = (Config::of(&settings).plan(), Config::of(&again).plan());
            assert_eq!((plan.view, plan.options.until), (same.view, same.options.until));
            true
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty() && mistakes.lines().all(|line| !line.trim().is_empty()), "{mistakes:?}");
            assert!(text.contains(SECRET) || !mistakes.contains(SECRET), "{mistakes}");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    #[test]
    fn the_corpus_of_configurations_is_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/config");
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let meant: BTreeSet<String> =
            files.iter().filter(|path| file(&std::fs::read(path).unwrap())).map(name).collect();
        let named = ["dead_letters", "every_key", "follow", "least", "podium", "tantivy", "unicode"];
        let mut expected: BTreeSet<String> = named.map(str::to_owned).into();
        if cfg!(feature = "kafka") {
            expected.insert("kafka".to_owned());
        }
        if cfg!(feature = "elasticsearch") {
            expected.extend(["elasticsearch", "opensearch"].map(str::to_owned));
        }
        assert_eq!(meant, expected, "of those in {}", folder.display());
    }
}
