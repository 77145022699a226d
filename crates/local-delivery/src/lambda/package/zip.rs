//! Reads zip files: what deployment packages are.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path};

use flate2::bufread::DeflateDecoder;
use rawzip::{CompressionMethod, ZipArchive};

use super::PackageError;

/// AWS's limit of an unpacked package.
const UNPACKED_BYTES_MAX: u64 = 262_144_000;

/// Checks that a package can be unpacked, without doing it.
pub(super) fn check(zip: &[u8]) -> Result<(), PackageError> {
    let mut files = 0;
    let mut bytes_left = UNPACKED_BYTES_MAX;
    for_each_file(zip, |_, _, content| {
        files += 1;
        copy(content, &mut io::sink(), &mut bytes_left)
    })?;
    if files == 0 { Err(PackageError::Invalid("Uploaded file must be a non-empty zip".to_owned())) } else { Ok(()) }
}

/// Writes the files of a package into `folder`, which it makes.
pub(super) fn unpack(zip: &[u8], folder: &Path) -> Result<(), PackageError> {
    fs::create_dir_all(folder)?;
    let mut bytes_left = UNPACKED_BYTES_MAX;
    for_each_file(zip, |name, is_executable, content| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        let mut file = File::create(&path)?;
        copy(content, &mut file, &mut bytes_left)?;
        set_mode(&file, if is_executable { 0o755 } else { 0o644 })?;
        Ok(())
    })
}

/// Gives each file's name, whether it may be run, and its content, which is checked against its checksum when read to
/// its end.
fn for_each_file(
    zip: &[u8],
    mut take: impl FnMut(&Path, bool, &mut dyn Read) -> Result<(), PackageError>,
) -> Result<(), PackageError> {
    let archive = ZipArchive::from_slice(zip).map_err(unreadable)?;
    let mut entries = archive.entries();
    while let Some(entry) = entries.next_entry().map_err(unreadable)? {
        let raw_name = entry.file_path();
        let name = std::str::from_utf8(raw_name.as_bytes()).map_err(unreadable)?;
        let is_within =
            Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !is_within || entry.mode().is_symlink() {
            return Err(PackageError::Invalid(format!("The package holds a path that leads out of it: {name}")));
        }
        if entry.is_dir() {
            continue;
        }
        let data = archive.get_entry(entry.wayfinder()).map_err(unreadable)?;
        let is_executable = entry.mode().permissions() & 0o111 != 0;
        match entry.compression_method() {
            CompressionMethod::STORE => take(Path::new(name), is_executable, &mut data.verifying_reader(data.data()))?,
            CompressionMethod::DEFLATE => {
                let inflated = DeflateDecoder::new(data.data());
                take(Path::new(name), is_executable, &mut data.verifying_reader(inflated))?;
            }
            other => {
                let message = format!("The package's {name} is compressed by {other:?}. Try: zip, which deflates");
                return Err(PackageError::Invalid(message));
            }
        }
    }
    Ok(())
}

/// Copies what is left of the limit at most. Sizes in a zip's directory are claims; what is read counts.
fn copy(content: &mut dyn Read, to: &mut dyn io::Write, bytes_left: &mut u64) -> Result<(), PackageError> {
    let mut limited = content.take(*bytes_left + 1);
    let read = io::copy(&mut limited, to).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => unreadable(error),
        _ => PackageError::Io(error),
    })?;
    *bytes_left = bytes_left.checked_sub(read).ok_or_else(|| {
        PackageError::Invalid(format!("Unzipped size must be smaller than {UNPACKED_BYTES_MAX} bytes"))
    })?;
    Ok(())
}

fn unreadable(error: impl std::fmt::Display) -> PackageError {
    let message = "Could not unzip uploaded file. Please check your file, then try to upload again.";
    PackageError::Invalid(format!("{message} ({error})"))
}

#[cfg(unix)]
fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_file: &File, _mode: u32) -> io::Result<()> {
    Ok(())
}
