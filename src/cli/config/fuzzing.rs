//! What a fuzzer and a test call: any text as a configuration file. It has a meaning, or mistakes that say what they are;
//! and what it means, printed, is a configuration that means the same.

use super::meaning::Config;
use super::print::Effective;
use super::settings::Settings;
use super::variables::Outside;
use super::{Flags, schema, settle};
use std::io::ErrorKind;
use std::path::Path;

/// Takes the bytes for a file.
pub(crate) fn file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let settled = |text: &str| -> Result<Settings, String> {
        let outside = Outside {
            environment: &|name| (name == "DIR").then(|| "data".into()),
            files: &|path| {
                if path.ends_with("secret") { Ok("xyzzy\n".to_owned()) } else { Err(ErrorKind::NotFound.into()) }
            },
        };
        let settled = settle(schema(), Path::new("dir/fuzz.toml"), text, &[], &Flags::default(), outside);
        settled.map_err(|mistakes| mistakes.to_string())
    };
    match settled(text) {
        Ok(settings) => {
            let printed = Effective(&settings).to_string();
            let again = settled(&printed).unwrap_or_else(|mistakes| panic!("{printed}\n{mistakes}"));
            assert_eq!(Effective(&again).to_string(), printed, "it is printed as it was");
            let (plan, same) = (Config::of(&settings).plan(), Config::of(&again).plan());
            assert_eq!((plan.view, plan.options.until), (same.view, same.options.until));
        }
        Err(mistakes) => assert!(mistakes.lines().all(|line| !line.trim().is_empty()), "{mistakes:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_of_configurations_is_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/config");
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() >= 10, "{} has {} files", folder.display(), files.len());
        files.iter().for_each(|path| file(&std::fs::read(path).unwrap()));
    }
}
