//! The directory of an index: who may write it, and which generation is the one.
//!
//! A generation is made under another name (`generation-1.new`), made durable, renamed, and only then named in `CURRENT`.
//! So a folder that ends in `.new` is always what a crash left, and a generation that no `CURRENT` names is either that
//! too, if it holds nothing yet, or a sign that `CURRENT` was lost, which is not for a program to mend.

use super::error::{IndexError, failed, io};
use super::payload::Payload;
use super::unlocked;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use tantivy::directory::error::{LockError, OpenDirectoryError};
use tantivy::directory::{Directory, DirectoryLock, Lock, MmapDirectory};
use tantivy::{Index, IndexSettings, IndexWriter};

const CURRENT: &str = "CURRENT";
const LOCK: &str = "LOCK";
const GENERATION: &str = "generation-";
const NEW: &str = ".new";
/// The least that tantivy takes.
const WRITER_BYTES: usize = 15_000_000;

/// An index's directory.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(crate) fn new(path: &Path) -> Folder {
        Folder { path: path.to_owned() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory if need be, and keeps other writers out for as long as the answer lives. The system lets go of
    /// the lock when the process ends, however it ends.
    pub(crate) fn lock(&self) -> Result<DirectoryLock, IndexError> {
        if let Some(stranger) = self.stranger()? {
            return Err(IndexError::NotEmpty { dir: self.path.clone(), found: stranger });
        }
        make_dir(&self.path)?;
        let directory = MmapDirectory::open(&self.path).map_err(|error| failed(&self.path, error.into()))?;
        let lock = Lock { filepath: LOCK.into(), is_blocking: false };
        directory.acquire_lock(&lock).map_err(|error| match error {
            LockError::LockBusy => IndexError::Busy { dir: self.path.clone() },
            other => failed(&self.path, other.into()),
        })
    }

    /// The generation that `CURRENT` names; `None` if there is no such file.
    pub(crate) fn current(&self) -> Result<Option<String>, IndexError> {
        let path = self.path.join(CURRENT);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io("read", &path)(error)),
        };
        let text = String::from_utf8_lossy(&bytes);
        match text.strip_suffix('\n').unwrap_or(&text) {
            name if number(name).is_some() => Ok(Some(name.to_owned())),
            "" => Err(IndexError::BadCurrent { path, found: "empty".to_owned() }),
            other => {
                let found = format!("`{}`", other.chars().take(60).collect::<String>().escape_debug());
                Err(IndexError::BadCurrent { path, found })
            }
        }
    }

    /// Opens a generation through the directory that `open` makes of its folder.
    pub(crate) fn open(
        &self,
        generation: &str,
        open: impl Fn(&Path) -> Result<Box<dyn Directory>, OpenDirectoryError>,
    ) -> Result<Index, IndexError> {
        let path = self.generation(generation);
        if !path.is_dir() {
            return Err(IndexError::NoGeneration { dir: self.path.clone(), generation: generation.to_owned() });
        }
        let directory = open(&path).map_err(|error| failed(&self.path, error.into()))?;
        Index::open(directory).map_err(|error| failed(&self.path, error))
    }

    /// The folder of a generation.
    pub(crate) fn generation(&self, generation: &str) -> PathBuf {
        self.path.join(generation)
    }

    /// Makes a generation, which says of itself what `payload` says, and lets `CURRENT` name it. The caller holds the lock,
    /// and has seen that there is no `CURRENT`, or one in which nothing is.
    pub(crate) fn create(
        &self,
        schema: tantivy::schema::Schema,
        payload: &Payload,
        open: impl Fn(&Path) -> Result<Box<dyn Directory>, OpenDirectoryError>,
    ) -> Result<String, IndexError> {
        let before = self.current()?;
        self.clear_leftovers(before.as_deref())?;
        let made = self.make(before.as_deref().and_then(number).unwrap_or(0) + 1, schema, payload, open)?;
        self.adopt(&made)
    }

    /// Makes a generation beside all that are there, under a name that says that it is not whole yet. The caller holds the
    /// lock. What rebuilds have left that were broken off goes first.
    pub(crate) fn begin(
        &self,
        schema: tantivy::schema::Schema,
        payload: &Payload,
        open: impl Fn(&Path) -> Result<Box<dyn Directory>, OpenDirectoryError>,
    ) -> Result<String, IndexError> {
        self.clear_unfinished()?;
        if let Ok(Some(current)) = self.current()
            && self.generation(&current).is_dir()
        {
            // A crash came between the naming of one and the removal of another.
            let others = self.names()?.into_iter().filter(|name| number(name).is_some() && *name != current);
            others.into_iter().try_for_each(|name| self.remove(&name))?;
        }
        let last = self.names()?.iter().filter_map(|name| number(name)).max().unwrap_or(0);
        self.make(last + 1, schema, payload, open)
    }

    /// Lets `CURRENT` name what [`Folder::begin`] has made, now that it is whole. The generation before goes: readers that have
    /// it open keep it as long.
    pub(crate) fn adopt(&self, made: &str) -> Result<String, IndexError> {
        let before = self.current().ok().flatten();
        let generation = made.strip_suffix(NEW).unwrap_or(made);
        let path = self.generation(generation);
        fs::rename(self.path.join(made), &path).map_err(io("name", &path))?;
        sync(&self.path)?;
        self.set_current(generation)?;
        if let Some(before) = before.filter(|before| self.generation(before).is_dir()) {
            self.remove(&before)?;
        }
        Ok(generation.to_owned())
    }

    /// The name of the folder of a generation.
    pub(crate) fn name_of(&self, path: &Path) -> String {
        path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn make(
        &self,
        number: u64,
        schema: tantivy::schema::Schema,
        payload: &Payload,
        open: impl Fn(&Path) -> Result<Box<dyn Directory>, OpenDirectoryError>,
    ) -> Result<String, IndexError> {
        let name = format!("{GENERATION}{number}{NEW}");
        let made = self.path.join(&name);
        fs::create_dir(&made).map_err(io("create", &made))?;
        let directory = open(&made).map_err(|error| failed(&self.path, error.into()))?;
        make(directory, schema, payload).map_err(|error| failed(&self.path, error))?;
        sync(&made)?;
        Ok(name)
    }

    /// Removes generations that were not whole when a crash came.
    fn clear_unfinished(&self) -> Result<(), IndexError> {
        for name in self.names()?.into_iter().filter(|name| name.ends_with(NEW)) {
            let path = self.path.join(&name);
            if path.is_dir() {
                fs::remove_dir_all(&path).map_err(io("remove", &path))?;
            }
        }
        Ok(())
    }

    fn set_current(&self, generation: &str) -> Result<(), IndexError> {
        let (new, path) = (self.path.join(format!("{CURRENT}{NEW}")), self.path.join(CURRENT));
        let write = || {
            let mut file = File::create(&new)?;
            writeln!(file, "{generation}")?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().map_err(io("write", &path))?;
        sync(&self.path)
    }

    /// Removes what a crash may have left of a creation. Documents are never removed.
    fn clear_leftovers(&self, current: Option<&str>) -> Result<(), IndexError> {
        self.clear_unfinished()?;
        for name in self.names()?.into_iter().filter(|name| current != Some(name)) {
            if number(&name).is_some() {
                let index = self.open(&name, unlocked::directory)?;
                let meta = index.load_metas().map_err(|error| failed(&self.path, error))?;
                if Payload::read(&self.path, meta.payload.as_deref())?.upper() > 0 {
                    return Err(IndexError::NoCurrent { dir: self.path.clone(), generation: name });
                }
                self.remove(&name)?;
            }
        }
        Ok(())
    }

    /// Removes a generation in which nothing is. A crash in the midst of it leaves what is known for a leftover.
    fn remove(&self, generation: &str) -> Result<(), IndexError> {
        let (path, going) = (self.generation(generation), self.path.join(format!("{generation}{NEW}")));
        if going.is_dir() {
            fs::remove_dir_all(&going).map_err(io("remove", &going))?;
        }
        fs::rename(&path, &going).map_err(io("remove", &path))?;
        fs::remove_dir_all(&going).map_err(io("remove", &going))
    }

    /// Something in the directory that cannot be of an index, if there is no index in it.
    fn stranger(&self) -> Result<Option<String>, IndexError> {
        let names = self.names()?;
        let ours = |name: &str| name == LOCK || name.ends_with(NEW) || number(name).is_some();
        let is_index = names.iter().any(|name| name == CURRENT);
        Ok(names.into_iter().find(|name| !is_index && !ours(name)))
    }

    fn names(&self) -> Result<Vec<String>, IndexError> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io("read", &self.path)(error)),
        };
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect::<std::io::Result<Vec<String>>>().map_err(io("read", &self.path))
    }
}

/// The number of a generation of this name.
fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(GENERATION)?;
    digits.parse().ok().filter(|number: &u64| number.to_string() == digits)
}

/// Makes a directory, and those above it that are not there, for good.
fn make_dir(path: &Path) -> Result<(), IndexError> {
    if path.is_dir() {
        return Ok(());
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_dir(above)?;
    match fs::create_dir(path) {
        // Another process was faster.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made.map_err(io("create", path))?,
    }
    sync(above)
}

/// Makes an index in which nothing is, and that says so.
fn make(directory: Box<dyn Directory>, schema: tantivy::schema::Schema, payload: &Payload) -> tantivy::Result<()> {
    let index = Index::create(directory, schema, IndexSettings::default())?;
    let mut writer: IndexWriter = index.writer_with_num_threads(1, WRITER_BYTES)?;
    let mut commit = writer.prepare_commit()?;
    commit.set_payload(&payload.write());
    commit.commit()?;
    Ok(())
}

/// Makes the names in a directory durable: what was renamed or created in it survives a power loss.
pub(crate) fn sync(directory: &Path) -> Result<(), IndexError> {
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(io("sync", directory))
}
