//! The code of functions: zip files kept by their hash, unpacked when they are first run; and folders of the user's.

mod zip;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ambient::Ambient;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a function runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Code {
    Zip {
        /// Of the file, in hex.
        sha256: String,
        bytes: u64,
    },
    /// Run where it lies, and anew whenever a file of it changes.
    Folder { path: PathBuf },
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PackageError {
    /// The caller's fault.
    #[error("{0}")]
    Invalid(String),
    #[error("keep or unpack a package")]
    Io(#[from] io::Error),
}

/// The folder of packages: `SHA256.zip` is what was sent, `SHA256/` is a cache of what was in it.
#[derive(Clone, Debug)]
pub(crate) struct Packages {
    folder: PathBuf,
    ambient: Ambient,
}

impl Packages {
    pub(crate) fn open(folder: PathBuf, ambient: Ambient) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, ambient })
    }

    /// Keeps a zip file. It is durable when this returns.
    pub(crate) fn keep(&self, zip: &[u8]) -> Result<Code, PackageError> {
        zip::check(zip)?;
        let sha256 = hex::encode(Sha256::digest(zip));
        let path = self.zip_path(&sha256);
        if !path.exists() {
            let staged = self.folder.join(format!("{}.staged", self.ambient.uuid()));
            let mut file = File::create(&staged)?;
            file.write_all(zip)?;
            file.sync_all()?;
            fs::rename(&staged, &path)?;
            File::open(&self.folder)?.sync_all()?;
        }
        Ok(Code::Zip { sha256, bytes: zip.len() as u64 })
    }

    /// The folder in which the code can be run.
    pub(crate) fn unpacked(&self, code: &Code) -> Result<PathBuf, PackageError> {
        let sha256 = match code {
            Code::Folder { path } => return Ok(path.clone()),
            Code::Zip { sha256, .. } => sha256,
        };
        let folder = self.folder.join(sha256);
        if !folder.exists() {
            let staged = self.folder.join(format!("{}.unpacking", self.ambient.uuid()));
            zip::unpack(&fs::read(self.zip_path(sha256))?, &staged)?;
            match fs::rename(&staged, &folder) {
                // Somebody else was faster.
                Err(_) if folder.exists() => fs::remove_dir_all(&staged)?,
                outcome => outcome?,
            }
        }
        Ok(folder)
    }

    pub(crate) fn zip_path(&self, sha256: &str) -> PathBuf {
        self.folder.join(format!("{sha256}.zip"))
    }

    /// Deletes packages that no function has, and what a crash left halfway.
    pub(crate) fn sweep(&self, used: impl Fn(&str) -> bool) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let sha256 = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            match used(sha256) {
                true => {}
                false if path.is_dir() => fs::remove_dir_all(&path)?,
                false => fs::remove_file(&path)?,
            }
        }
        Ok(())
    }
}

/// What changes whenever a file of the folder does: its count of files, their sizes and their latest time.
pub(crate) fn fingerprint(folder: &Path) -> io::Result<String> {
    let mut seen = Sha256::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let mut entries = fs::read_dir(&folder)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                // Python writes these while the function runs.
                if entry.file_name() != "__pycache__" {
                    folders.push(entry.path());
                }
                continue;
            }
            let modified = metadata.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            seen.update(entry.path().as_os_str().as_encoded_bytes());
            seen.update(modified.as_nanos().to_le_bytes());
            seen.update(metadata.len().to_le_bytes());
        }
    }
    Ok(hex::encode(seen.finalize()))
}

#[cfg(test)]
mod tests {
    use rawzip::{CompressionMethod, ZipArchiveWriter};

    use super::*;

    fn zip_of(files: &[(&str, &str)]) -> Vec<u8> {
        let mut zip = Vec::new();
        let mut archive = ZipArchiveWriter::new(&mut zip);
        for (name, content) in files {
            let name = rawzip::path::EntryPath::verbatim(name.as_bytes());
            let file = archive.new_file(name).compression_method(CompressionMethod::DEFLATE);
            let (mut entry, config) = file.start().unwrap();
            let mut writer = config.wrap(flate2::write::DeflateEncoder::new(&mut entry, Default::default()));
            writer.write_all(content.as_bytes()).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            entry.finish(descriptor).unwrap();
        }
        archive.finish().unwrap();
        zip
    }

    #[test]
    fn a_package_is_unpacked_as_it_was_packed_and_swept_when_no_function_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let packages = Packages::open(folder.path().join("packages"), Ambient::fixed(0)).unwrap();
        let code = packages.keep(&zip_of(&[("app.py", "x = 1"), ("lib/y.py", "y = 2")])).unwrap();
        let unpacked = packages.unpacked(&code).unwrap();
        assert_eq!(fs::read_to_string(unpacked.join("lib/y.py")).unwrap(), "y = 2");
        packages.sweep(|_| true).unwrap();
        assert!(unpacked.exists());
        packages.sweep(|_| false).unwrap();
        assert_eq!(fs::read_dir(folder.path().join("packages")).unwrap().count(), 0);
    }

    #[test]
    fn what_is_no_package_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let packages = Packages::open(folder.path().to_owned(), Ambient::fixed(0)).unwrap();
        for zip in [b"not a zip".to_vec(), zip_of(&[]), zip_of(&[("../../evil.py", "")])] {
            assert!(matches!(packages.keep(&zip), Err(PackageError::Invalid(_))));
        }
    }

    #[test]
    fn an_edited_file_changes_the_fingerprint_of_its_folder_and_a_compiled_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("app.py"), "x = 1").unwrap();
        let before = fingerprint(folder.path()).unwrap();
        fs::create_dir(folder.path().join("__pycache__")).unwrap();
        fs::write(folder.path().join("__pycache__/app.pyc"), "").unwrap();
        assert_eq!(fingerprint(folder.path()).unwrap(), before);
        fs::write(folder.path().join("app.py"), "x = 10").unwrap();
        assert_ne!(fingerprint(folder.path()).unwrap(), before);
    }
}
