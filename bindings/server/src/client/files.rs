//! Files both ways, part by part: a broken connection costs a part, not the file.

use std::{
    fs,
    io::{self, Read, Seek, SeekFrom, Write},
    ops::ControlFlow,
    path::Path,
    thread,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use obrolan::{client::Response, names, wire::Request};
use tempfile::NamedTempFile;

use super::{
    Call, CallError, Client,
    parts::{Download, PAUSE, Step, Upload, Wrong},
};

/// To whom a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To<'a> {
    /// A user.
    User(&'a str),
    /// The members of a group.
    Group(&'a str),
}

impl<'a> To<'a> {
    /// The request that sends an upload.
    fn request(self, filename: &'a str) -> Request<'a> {
        match self {
            To::User(to) => Request::SendFile { to, filename, base64: None },
            To::Group(group) => Request::SendGroupFile { group, filename, base64: None },
        }
    }
}

/// Told how many bytes have passed, of how many in all. Breaks to stop the file.
pub type Progress<'a> = dyn FnMut(u64, u64) -> ControlFlow<()> + 'a;

/// Why a file did not come through.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The name cannot be a file's.
    #[error("{0:?} is no file name: one has 1 to 255 bytes, no separator and no control character")]
    Name(String),
    /// There is nothing in it.
    #[error("the file is empty; there is nothing to send")]
    Empty,
    /// It could not be read or written here.
    #[error("the file cannot be read or written here: {0}")]
    Io(#[from] io::Error),
    /// The server refused it.
    #[error("the server refused the file: {}", .0.reason())]
    Refused(Response),
    /// There is no answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// What came is not the file that was sent.
    #[error("what came is not what was sent; fetch it again")]
    Damaged,
    /// [`Progress`] stopped it.
    #[error("the file was stopped before it was through")]
    Stopped,
}

impl Client {
    /// Sends a file: all of `content`, under `name`. Waits for it, `timeout` for each part; answers what the request that sends it
    /// was answered, with the message's `id` and the `file`.
    ///
    /// With a `key` of the caller's, as [`Call::Keyed`] has one, a file that was sent under it is not sent again.
    ///
    /// # Errors
    /// It was not sent. What the server has of it is dropped by and by.
    pub fn send_file(
        &self,
        to: To<'_>,
        key: Option<&str>,
        name: &str,
        content: &mut (impl Read + Seek),
        timeout: Duration,
        progress: &mut Progress<'_>,
    ) -> Result<Response, FileError> {
        if !names::is_filename(name) {
            return Err(FileError::Name(name.to_owned()));
        }
        let size = content.seek(SeekFrom::End(0))?;
        if size == 0 {
            return Err(FileError::Empty);
        }
        if let Some(key) = key {
            // If it was sent, this is answered as that was. If not, it is refused: no upload has such a name.
            let response = self.call(Call::Keyed(to.request("/"), key), timeout)?;
            if response.is_ok() {
                return Ok(response);
            }
        }
        let mut upload = Upload::new(size);
        let mut bytes = Vec::new();
        loop {
            tell(progress, upload.done(), size)?;
            let response = match (upload.part(), key) {
                (Some(part), _) => {
                    content.seek(SeekFrom::Start(part.start))?;
                    bytes.resize((part.end - part.start) as usize, 0);
                    content.read_exact(&mut bytes)?;
                    let base64 = BASE64_STANDARD.encode(&bytes);
                    let offset = Some(part.start);
                    self.call(Request::Upload { filename: name, base64: &base64, offset }, timeout)?
                }
                (None, Some(key)) => self.call(Call::Keyed(to.request(name), key), timeout)?,
                (None, None) => self.call(to.request(name), timeout)?,
            };
            match upload.answered(&response) {
                Ok(Step::Next) => {}
                Ok(Step::Pause) => thread::sleep(PAUSE),
                Ok(Step::Whole) => return Ok(response),
                Err(_) => return Err(FileError::Refused(response)),
            }
        }
    }

    /// Fetches a file and writes it to `content`, waiting for it, `timeout` for each part. With the `sha256` of its message (in hex), it
    /// is compared. Returns its size.
    ///
    /// # Errors
    /// It was not fetched; a part of it may have been written.
    pub fn get_file(
        &self,
        id: &str,
        sha256: Option<&str>,
        content: &mut impl Write,
        timeout: Duration,
        progress: &mut Progress<'_>,
    ) -> Result<u64, FileError> {
        let mut download = Download::new(sha256.map(str::to_owned));
        loop {
            let request = Request::GetFile { id, offset: Some(download.done()), length: None };
            let response = self.call(request, timeout)?;
            let (step, part) = download.answered(&response).map_err(|wrong| match wrong {
                Wrong::Refused => FileError::Refused(response),
                Wrong::NotNext | Wrong::NotSame => FileError::Damaged,
            })?;
            content.write_all(&part)?;
            tell(progress, download.done(), download.size().unwrap_or_default())?;
            match step {
                Step::Next => {}
                Step::Pause => thread::sleep(PAUSE),
                Step::Whole => return Ok(download.done()),
            }
        }
    }

    /// Sends the file at a path, under its last component.
    ///
    /// # Errors
    /// As [`send_file`](Self::send_file).
    pub fn send_file_at(
        &self,
        to: To<'_>,
        key: Option<&str>,
        path: &Path,
        timeout: Duration,
        progress: &mut Progress<'_>,
    ) -> Result<Response, FileError> {
        // To open what is no file, a pipe say, may wait for ever.
        if !fs::metadata(path)?.is_file() {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "only regular files can be sent");
            return Err(error.into());
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.send_file(to, key, &name, &mut fs::File::open(path)?, timeout, progress)
    }

    /// Fetches a file to a path, in place of what is there, and only when all of it has come. Returns its size.
    ///
    /// # Errors
    /// As [`get_file`](Self::get_file); what was at the path is as it was.
    pub fn get_file_to(
        &self,
        id: &str,
        sha256: Option<&str>,
        path: &Path,
        timeout: Duration,
        progress: &mut Progress<'_>,
    ) -> Result<u64, FileError> {
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let mut part = part_file(folder)?;
        let size = self.get_file(id, sha256, &mut part, timeout, progress)?;
        part.persist(path).map_err(|error| error.error)?;
        Ok(size)
    }
}

fn tell(progress: &mut Progress<'_>, done: u64, size: u64) -> Result<(), FileError> {
    if progress(done, size).is_break() { Err(FileError::Stopped) } else { Ok(()) }
}

/// A file that is not whole yet, in the folder of the whole one; it goes with its handle.
pub(crate) fn part_file(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("obrolan-").suffix(".part");
    #[cfg(unix)]
    // As any file that a program makes, and not as a secret.
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}
